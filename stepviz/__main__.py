"""`python -m stepviz`."""

from stepviz.cli import run

if __name__ == "__main__":
    run()
