"""The kernel language: see language.py for its words, emit.py, interpret.py and show.py for its three meanings."""
