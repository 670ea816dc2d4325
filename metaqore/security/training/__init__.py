"""Make the weights that ``assess_linear`` reads. Needs the extra ``ml``; the engine never imports this."""
