"""GET /stepviz/dataset/ID/FORMAT: a dataset as a file, written into a temporary folder that goes when it was sent."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from db.store import Store
from db.values import DatasetRow
from stepviz.dataset_files import FORMATS, write
from stepviz.errors import StepvizError
from stepviz.ui.signed_in import admins_only

SUFFIX = {"jsonl": ".jsonl", "parquet": ".parquet", "hf": ".zip"}
MEDIA = {"jsonl": "application/x-ndjson", "parquet": "application/vnd.apache.parquet", "hf": "application/zip"}


class TemporaryFile(FileResponse):
    """Streams a file, and removes the folder it lies in however the sending ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            shutil.rmtree(Path(self.path).parent, ignore_errors=True)


def download_route(store: Store) -> Route:
    """For the app's routes; it stands before the static files, whose path it shares."""

    def download(request: Request) -> Response:  # not async: writing a file must not stop the server
        try:
            id_, format = _asked(request.path_params)
            file = packed(store, id_, format)
        except StepvizError as error:
            return PlainTextResponse(str(error), status_code=404)
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return TemporaryFile(file, filename=file.name, media_type=MEDIA[format], headers=headers)

    return Route("/stepviz/dataset/{id}/{format}", admins_only(store, download), methods=["GET"])


def packed(store: Store, id: int, format: str) -> Path:
    """The file, alone in a new temporary folder. StepvizError for a dataset or format there is not."""
    name = file_name(store.dataset(id))
    folder = Path(tempfile.mkdtemp(prefix="stepviz-download-"))
    try:
        if format != "hf":
            return write(store, id, format, folder / f"{name}{SUFFIX[format]}")
        written = write(store, id, format, folder / "folder" / name)
        return _zipped(written, folder / f"{name}.zip")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def file_name(dataset: DatasetRow) -> str:
    """The dataset's name and version, of letters that every file system takes."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", dataset.name).strip("-.")[:60]
    return f"{plain or 'dataset'}-v{dataset.version}"


def _zipped(folder: Path, target: Path) -> Path:
    """With the folder's name before each path, so that it unpacks into one folder."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, Path(folder.name) / path.relative_to(folder))
    shutil.rmtree(folder.parent)
    return target


def _asked(path: dict[str, str]) -> tuple[int, str]:
    id_, format = path["id"], path["format"]
    if not (id_.isascii() and id_.isdigit() and len(id_) < 12):
        raise StepvizError("A dataset is named by its number: /stepviz/dataset/NUMBER/jsonl")
    if format not in FORMATS:
        raise StepvizError(f"There is no such format; there are: {', '.join(FORMATS)}")
    return int(id_), format
