"""Downloading with resume and checksum, from a server on this machine, and unpacking."""

import hashlib
import http.server
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mert_fairseq.fma.constants import ARCHIVES, Archive
from mert_fairseq.fma.download import DownloadError, UnpackError, download, unpack

CONTENT = hashlib.sha256(b"fma").digest() * 100_000  # 3.2 MB
ARCHIVE = Archive("toy.zip", hashlib.sha1(CONTENT).hexdigest(), 0.003, "toy")


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT as /toy.zip; can break connections and ignore ranges, and notes which ranges were asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.breaks: list[int] = []  # after so many bytes of each coming answer
        self.knows_ranges = True
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path != "/toy.zip":
            self.send_error(404)
            return
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.knows_ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        body = CONTENT[start:]
        self.wfile.write(body[: self.server.breaks.pop(0)] if self.server.breaks else body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def test_a_broken_download_continues_where_it_stopped(server: Server, tmp_path: Path):
    server.breaks = [1_000_000, 500_000]
    path = download(ARCHIVE, tmp_path, server.url, retry_seconds=(0, 0))
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000000-", "bytes=1500000-"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["toy.zip", "toy.zip.verified"]


def test_a_download_of_an_earlier_run_continues(server: Server, tmp_path: Path):
    server.breaks = [2_000_000]
    with pytest.raises(
        DownloadError, match=r"broke 1 times.*at 2,000,000 bytes. The same command continues from there"
    ):
        download(ARCHIVE, tmp_path, server.url, retry_seconds=())
    assert download(ARCHIVE, tmp_path, server.url).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=2000000-"]


def test_a_server_without_ranges_sends_the_whole_file_again(server: Server, tmp_path: Path):
    server.breaks, server.knows_ranges = [1_000_000], False
    assert download(ARCHIVE, tmp_path, server.url, retry_seconds=(0,)).read_bytes() == CONTENT


def test_a_complete_part_file_is_used_without_a_download(server: Server, tmp_path: Path):
    (tmp_path / "toy.zip.part").write_bytes(CONTENT)
    assert download(ARCHIVE, tmp_path, server.url).read_bytes() == CONTENT


def test_an_existing_file_is_verified_and_not_downloaded_again(server: Server, tmp_path: Path):
    download(ARCHIVE, tmp_path, server.url)
    download(ARCHIVE, tmp_path, server.url)
    assert server.ranges == [None]


def test_a_wrong_checksum_is_an_error_and_the_file_is_renamed(server: Server, tmp_path: Path):
    wrong = ARCHIVE._replace(sha1="0" * 40)
    with pytest.raises(DownloadError, match=f"found SHA-1 {ARCHIVE.sha1}, expected {'0' * 40}"):
        download(wrong, tmp_path, server.url)
    assert [file.name for file in tmp_path.iterdir()] == ["toy.zip.damaged"]
    assert download(ARCHIVE, tmp_path, server.url).read_bytes() == CONTENT


def test_a_changed_file_is_verified_again(server: Server, tmp_path: Path):
    path = download(ARCHIVE, tmp_path, server.url)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DownloadError, match="the download is damaged|download is damaged"):
        download(ARCHIVE, tmp_path, server.url)


def test_a_missing_file_is_an_error_with_the_status_of_the_server(server: Server, tmp_path: Path):
    with pytest.raises(DownloadError, match=r"fma_small.zip: the server answers 404 .*mirror"):
        download(ARCHIVES["small"], tmp_path, server.url, retry_seconds=())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_permanent_errors_are_not_retried(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail(f"waits for {seconds} s"))
    with pytest.raises(DownloadError, match=r"mirror.org/toy.zip: expected an address that begins with https://"):
        download(ARCHIVE, tmp_path, "mirror.org")
    (tmp_path / "toy.zip.part").symlink_to("/dev/full")
    with pytest.raises(DownloadError, match=r"toy.zip.part: cannot be written \(.*No space left.*Free some space"):
        download(ARCHIVE, tmp_path, server.url)


@pytest.fixture
def zip_path(tmp_path: Path) -> Path:
    path = tmp_path / "fma_small.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fma_small/README.txt", b"hello")
        for number in range(5):
            method = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)[number % 3]
            archive.writestr(f"fma_small/000/{number:06d}.mp3", bytes([number]) * 10_000, method)
    return path


def test_an_archive_is_unpacked_once(zip_path: Path, tmp_path: Path):
    assert unpack(zip_path, tmp_path / "out") == 6
    assert (tmp_path / "out/fma_small/000/000003.mp3").read_bytes() == b"\3" * 10_000
    assert unpack(zip_path, tmp_path / "out") == 0


def test_unpacking_continues_where_it_stopped(zip_path: Path, tmp_path: Path):
    unpack(zip_path, tmp_path / "out")
    (tmp_path / "out/fma_small/000/000001.mp3").unlink()
    (tmp_path / "out/fma_small/000/000002.mp3").write_bytes(b"half")
    assert unpack(zip_path, tmp_path / "out") == 2
    assert (tmp_path / "out/fma_small/000/000002.mp3").read_bytes() == b"\2" * 10_000


def test_a_damaged_archive_leaves_only_complete_files(zip_path: Path, tmp_path: Path):
    data = bytearray(zip_path.read_bytes())
    start = data.index(b"\3" * 100)  # number 3 is stored as it is
    data[start : start + 50] = bytes(50)
    zip_path.write_bytes(data)
    with pytest.raises(UnpackError, match=r"fma_small.zip: cannot be unpacked .*000003.*download it again"):
        unpack(zip_path, tmp_path / "out")
    there = sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert there == ["000000.mp3", "000001.mp3", "000002.mp3", "README.txt"]


def test_a_truncated_archive_is_an_error(zip_path: Path, tmp_path: Path):
    zip_path.write_bytes(zip_path.read_bytes()[:-100])
    with pytest.raises(UnpackError, match=r"cannot be unpacked \(File is not a zip file\)"):
        unpack(zip_path, tmp_path / "out")


def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../evil.txt", b"")
    with pytest.raises(UnpackError, match=r"\.\./evil.txt: the archive has a path outside"):
        unpack(tmp_path / "evil.zip", tmp_path / "out")


def test_unpacking_without_a_download_is_an_error(tmp_path: Path):
    with pytest.raises(UnpackError, match=r"fma_small.zip: no such file. Download it first"):
        unpack(tmp_path / "fma_small.zip", tmp_path)
