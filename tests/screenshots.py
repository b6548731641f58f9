"""Screenshots of the running app for README and review: `python -m tests.screenshots URL FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.chromium import CHROMIUM, FLAGS

SIZES = ((1280, 800), (1920, 1080), (1024, 768), (420, 860))


def main(url: str, folder: Path) -> None:
    """Explore's first screen, light and dark, in four sizes; Import, Datasets, Train and Runs in one."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for scheme in ("light", "dark"):
            for width, height in SIZES:
                more = ("import", "datasets", "train", "runs") if width == 1280 else ()
                pages = [("explore", "/"), *((name, f"/{name}") for name in more)]
                context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
                page = context.new_page()
                for name, path in pages:
                    page.goto(url + path)
                    page.wait_for_timeout(4000)
                    page.screenshot(path=folder / f"{name}-{width}-{scheme}.png")
                context.close()
        chromium.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
