"""The app: its pages over one store. `app.py` launches what is built here."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from db.store import Store
from stepviz.types import Sampling
from stepviz.ui import (
    agreement_page,
    annotate_page,
    compare_page,
    datasets_page,
    explore,
    import_page,
    refine_page,
    runs,
    studies_page,
    train_page,
)
from stepviz.ui.annotate_routes import annotate_routes
from stepviz.ui.compare_download import compare_route
from stepviz.ui.download import download_route
from stepviz.ui.gate import Gate
from stepviz.ui.page import STATIC, stylesheets
from stepviz.ui.same_site import SameSite
from stepviz.ui.sign_in import MESSAGE, signing_in
from stepviz.ui.study_download import study_route
from stepviz.ui.workbench import Workbench
from stepviz.worker_process import ensure_worker

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
_TAKEN_OVER = (
    "body_background_fill",
    "background_fill_primary",
    "background_fill_secondary",
    "block_background_fill",
)


def build_app(
    store: Store,
    engine: str = "embedded",
    device: str | None = None,
    sampling: Sampling | None = None,
    tokenizer: str | None = None,
    warm: bool = False,
) -> gr.Blocks:
    """Explore at /, each other page at its name: /refine, /annotate, /agreement, /studies, /import, /datasets, /train,
    /compare, /runs.

    The engine lives in the worker process; `warm` starts that now, to stay as long as this one.
    """
    bench = Workbench(store, engine, device, sampling or Sampling(), tokenizer)
    if warm:
        ensure_worker(store, stay=True, warm=bench.warm)
    with gr.Blocks(title="stepviz", fill_width=True, fill_height=True, analytics_enabled=False) as app:
        explore.build(bench)
    with app.route("Refine", "/refine"):
        refine_page.build(bench)
    with app.route("Annotate", "/annotate"):
        annotate_page.build()
    with app.route("Studies", "/studies"):
        studies_page.build(bench)
    with app.route("Agreement", "/agreement"):
        agreement_page.build(bench)
    with app.route("Import", "/import"):
        import_page.build(bench)
    with app.route("Datasets", "/datasets"):
        datasets_page.build(bench)
    with app.route("Train", "/train"):
        train_page.build(bench)
    with app.route("Compare", "/compare"):
        compare_page.build(bench)
    with app.route("Runs", "/runs"):
        runs.build(bench)
    return app


def theme() -> gr.themes.Base:
    """Gradio's own chrome in our colours and type; nothing is fetched from a font server."""
    fonts = [gr.themes.Font("Inter"), gr.themes.Font("system-ui"), gr.themes.Font("sans-serif")]
    mono = [gr.themes.Font("ui-monospace"), gr.themes.Font("monospace")]
    fills = dict.fromkeys(_TAKEN_OVER, "var(--bg)")
    return gr.themes.Base(font=fonts, font_mono=mono).set(
        **fills, **{f"{name}_dark": fill for name, fill in fills.items()}
    )


def launch_options(store: Store, host: str = "127.0.0.1", accounts: bool = False) -> dict[str, Any]:
    """For `Blocks.launch`: own static files and downloads, no history, no footer, no request off the machine.

    accounts: people sign in. They are counted once, when the app starts.
    """
    # without accounts only this machine may ask; a foreign page that re-points its name at it may not
    hosts = ["*"] if accounts else [*LOOPBACK, host]
    sign_in = {"auth": signing_in(store), "auth_message": MESSAGE} if accounts else {}
    routes = [*annotate_routes(store), download_route(store), compare_route(store), study_route(store)]
    return {
        **sign_in,
        "theme": theme(),
        "head": stylesheets(),
        "footer_links": [],
        "run_history": False,
        "app_kwargs": {
            "routes": [*routes, Mount("/stepviz", StaticFiles(directory=STATIC))],
            "middleware": [
                Middleware(TrustedHostMiddleware, allowed_hosts=hosts),
                Middleware(SameSite),
                Middleware(Gate, store=store),
            ],
        },
        "favicon_path": STATIC / "favicon.svg",
        "show_error": True,
        "quiet": True,
        "share": False,
        "ssr_mode": False,
        "max_file_size": "512mb",
    }
