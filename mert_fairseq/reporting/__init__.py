"""Reading training logs, drawing figures and writing HTML reports; needs neither torch nor fairseq."""
