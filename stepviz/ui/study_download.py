"""GET /stepviz/study/ID.FORMAT: a study as a file (stepviz.study_export), for an admin. ?anonymous=1: without names."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from db.store import Store
from db.study_values import StudyRow
from stepviz.errors import StepvizError
from stepviz.study_export import SUFFIX, export
from stepviz.ui.download import TemporaryFile
from stepviz.ui.signed_in import admins_only

ENDINGS = {suffix.removeprefix("."): format for format, suffix in SUFFIX.items()}
_ASKED = re.compile(r"([0-9]{1,11})\.([a-z0-9.]{1,20})")


def study_route(store: Store) -> Route:
    """For the app's routes; it stands before the static files, whose path it shares."""

    def download(request: Request) -> Response:  # not async: writing a file must not stop the server
        try:
            study, format = _asked(store, request.path_params["file"])
            file = packed(store, study, format, request.query_params.get("anonymous") == "1")
        except StepvizError as error:
            return PlainTextResponse(str(error), status_code=404)
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        media = "application/vnd.apache.parquet" if format == "parquet" else "application/x-ndjson"
        return TemporaryFile(file, filename=file.name, media_type=media, headers=headers)

    return Route("/stepviz/study/{file}", admins_only(store, download), methods=["GET"])


def packed(store: Store, study: StudyRow, format: str, anonymous: bool) -> Path:
    """The file, alone in a new temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="stepviz-download-"))
    try:
        file = folder / f"{file_name(study)}{SUFFIX[format]}"
        export(store, study, format, file, anonymous=anonymous)
        return file
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def file_name(study: StudyRow) -> str:
    """The study's name, of letters that every file system takes."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", study.name).strip("-.")[:60]
    return plain or f"study-{study.id}"


def _asked(store: Store, file: str) -> tuple[StudyRow, str]:
    found = _ASKED.fullmatch(file)
    format = ENDINGS.get(found[2]) if found else None
    if found is None or format is None:
        endings = ", ".join(f"NUMBER.{ending}" for ending in ENDINGS)
        raise StepvizError(f"A study's files are called: {endings}")
    study = store.study(int(found[1]))
    if study is None:
        raise StepvizError(f"There is no study {int(found[1])}.")
    return study, format
