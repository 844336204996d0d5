"""The data path: strict HTTP both ways, one governed call, and the dialects of model servers."""
