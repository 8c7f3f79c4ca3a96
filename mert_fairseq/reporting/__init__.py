"""Training logs, figures and HTML pages, shared by several reports. Needs neither torch nor fairseq."""
