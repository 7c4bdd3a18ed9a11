"""The command line: `striate train`, `predict`, `summary`, `filter`, `draw`, `profile`, `design`, `list`.

main.py      the program: commands, errors as one line, exit codes
train.py predict.py show.py   one command each (show.py: summary and list)
profile.py   the time of each kernel
filter.py    a picture through a kernel         draw.py   figures
tasks.py     what can be learnt: captchas, published datasets, folders of images

Only typer is imported before a command runs, so that `striate --help` answers at once.
"""
