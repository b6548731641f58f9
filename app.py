"""The app: arguments → store → build_app → launch."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import sys

from db.session import store_url
from db.store import open_store
from stepviz.engines import SPECS
from stepviz.errors import StepvizError


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """What the command line says; --help lists it."""
    parser = argparse.ArgumentParser(prog="app.py", description="stepviz in the browser")
    parser.add_argument("--db", metavar="URL", help="database (default: STEPVIZ_DB, else sqlite:///stepviz.db)")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; others than this machine's only with accounts"
    )
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--engine", default="embedded", metavar="SPEC", help=SPECS)
    parser.add_argument("--tokenizer", metavar="ID_OR_PATH", help="where the model or server brings none")
    parser.add_argument("--device", metavar="DEVICE", help="cpu, cuda, cuda:1 (default: cuda where there is one)")
    parser.add_argument("--style", default="plain", help="prompt style: plain, chat, or a .json file")
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--max-tokens", type=int, default=300, help="new tokens a sample")
    parser.add_argument("--open", action="store_true", help="open a browser window")
    return parser.parse_args(argv)


def reachable(host: str, accounts: bool) -> str:
    """The host; without accounts, which keep others out, only one that this machine alone can reach."""
    if accounts:
        return host
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise StepvizError(
            f"--host {host} would let anybody on the network in, and there are no accounts: make one first "
            "(python -m stepviz user add NAME --role admin). Or keep 127.0.0.1, and reach it from elsewhere through a "
            "tunnel: ssh -L 7860:127.0.0.1:7860 THIS_MACHINE"
        )
    return f"[{address}]" if address.version == 6 else host


def say(line: str) -> None:
    """A line for who waits, at once, also through a pipe."""
    print(f"stepviz: {line}", flush=True)


def main() -> None:
    given = arguments()
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s")  # when somebody was refused, too
    try:
        say(f"opening the store {store_url(given.db).render_as_string()}")
        store = open_store(given.db)
        accounts = bool(store.users())
        host = reachable(given.host, accounts)
        say("loading the app")
        from stepviz import first_screen
        from stepviz.prompt_styles import prompt_style
        from stepviz.types import Sampling
        from stepviz.ui.build import build_app, launch_options

        sampling = Sampling(given.temperature, max_tokens=given.max_tokens, style=prompt_style(given.style))
        say(f"building the pages and starting the worker process ({given.engine})")
        first_screen.seed(store)  # where they are missing: embedded problems, some sampled and measured already
        app = build_app(store, given.engine, given.device, sampling, given.tokenizer, warm=True)
        options = {"inbrowser": given.open, "prevent_thread_lock": True, **launch_options(store, host, accounts)}
        app.launch(server_name=host, server_port=given.port, **options)
        say(f"ready: open http://{host}:{given.port} (Ctrl+C ends it)")
        app.block_thread()
    except StepvizError as error:
        sys.exit(f"stepviz: {error}")
    except OSError as error:
        sys.exit(f"stepviz: {error} (another port: --port)")


if __name__ == "__main__":
    main()
