"""config/pretrain/run, and its link in config/genre, compose into a configuration of submitit."""

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf


def composed(folder, name, *overrides):
    with initialize_config_dir(str(folder), version_base="1.1"):
        cfg = compose(name, [*overrides, "hydra.job.num=3"], return_hydra_config=True)
    return OmegaConf.select(cfg, "hydra.launcher"), cfg


@pytest.mark.parametrize("recipe", ["mert_95m", "mert_330m", "tiny"])
@pytest.mark.parametrize(("run", "nodes", "tasks"), [("slurm", 1, 1), ("slurm_8x8", 8, 8)])
def test_slurm_runs_request_nodes_tasks_and_srun_k(repo_root, recipe, run, nodes, tasks):
    launcher, cfg = composed(repo_root / "config/pretrain", recipe, f"+run={run}", "hydra.launcher.partition=gpu")
    assert launcher._target_.endswith("SlurmLauncher")
    assert (launcher.nodes, launcher.tasks_per_node, launcher.gpus_per_node) == (nodes, tasks, tasks)
    assert launcher.partition == "gpu"
    assert launcher.setup == ["export SLURM_KILL_BAD_EXIT=1"]
    assert cfg.hydra.callbacks.ranks._target_ == "mert_fairseq.distributed.callback.StartRanks"


def test_every_job_of_a_sweep_has_its_own_folder(repo_root):
    for run in ("slurm", "local"):
        _, cfg = composed(repo_root / "config/pretrain", "tiny", f"+run={run}", "hydra.sweep.dir=exp/here")
        save_dir = OmegaConf.to_container(cfg.checkpoint, resolve=False)["save_dir"]
        assert save_dir == "${hydra:sweep.dir}/${hydra:sweep.subdir}"
        assert cfg.hydra.sweep.subdir == "3"


def test_the_genre_configs_have_the_same_files_and_no_copy(repo_root):
    link = repo_root / "config/genre/run"
    assert link.is_symlink()
    assert sorted(link.iterdir())[0].samefile(sorted((repo_root / "config/pretrain/run").iterdir())[0])


def test_the_callback_keeps_its_old_path_for_recipes_of_users():
    from mert_fairseq.distributed.callback import StartRanks
    from mert_fairseq.running import callback

    assert callback.StartRanks is StartRanks
