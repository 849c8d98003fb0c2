"""Pages of docs on the models that ship; see ``__main__``."""
