"""Child program: one llama.cpp server on a unix socket.

    python -m plinth.adapters.engines.llamacpp_server --spec FILE      (the key comes on standard input)

A native crash or a file that llama.cpp chokes on ends this process only.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

from plinth.adapters.engines import _orphan

# requests that wait for a slot each hold one of the server's threads; health checks need theirs
SPARE_HTTP_THREADS = 60
_LOG_PREFIX = re.compile(r"^[\d.]+ E\s+")
MISSING_PACKAGE = "This needs the optional part 'serve', which is not installed. Run: pip install 'plinth-maas[serve]'"


class Refused(Exception):
    """It makes no sense to go on; `adapter` names the one to blame."""

    def __init__(self, reason: str, *, permanent: bool = True, adapter: str | None = None) -> None:
        self.reason, self.permanent, self.adapter = reason, permanent, adapter
        super().__init__(reason)


def main() -> None:
    files = json.loads(Path(sys.argv[sys.argv.index("--spec") + 1]).read_text(encoding="utf-8"))
    key = sys.stdin.readline().strip()
    if not key:
        return  # whoever started us died before recording us
    # llama.cpp's own shutdown waits for running requests; whoever ends us has drained us before
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    _orphan.watch(Path(files["lock"]))
    try:
        check_files(files["spec"])
        server = serve(files, key)
    except Refused as refused:
        _report(files, refused)
    except Exception as error:  # the process ends here; the report is all that remains of the reason
        _report(files, Refused(f"{type(error).__name__}: {error}"[:500], permanent=False))
    threading.Event().wait()
    del server  # never reached: it must live as long as the process


def check_files(spec: dict[str, Any]) -> None:
    """Compare every file with its digest before native code reads it. Raises `Refused`."""
    _check(spec["model"]["path"], spec["model"]["sha256"], None)
    for adapter in spec["adapters"]:
        _check(adapter["path"], adapter["sha256"], adapter["name"])


def parameters(spec: dict[str, Any], socket: str, key: str) -> Any:
    """xllamacpp's CommonParams for a spec."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = spec["model"]["path"]
    params.model_alias = {Path(socket).stem}
    params.hostnames, params.api_keys = [socket], [key]
    # every slot has its own context: in a shared one, the requests of others fail when it overflows
    params.kv_unified = False
    params.n_parallel = spec["slots"]
    params.n_ctx = spec["context_tokens"] * spec["slots"]
    threads = spec["threads"] or max(1, len(os.sched_getaffinity(0)) - 1)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_threads_http = spec["slots"] + SPARE_HTTP_THREADS
    params.check_tensors = True
    params.endpoint_metrics = params.endpoint_slots = True
    params.endpoint_props = params.ui = False
    params.verbosity = 1  # errors only: nothing of the prompts
    # prompts kept outside the slots are found again under any adapter, which would mix models
    params.cache_ram_mib = 0 if spec["adapters"] else spec["prompt_cache_mebibytes"]
    if spec["chat_template"]:
        params.chat_template = spec["chat_template"]
    if spec["adapters"]:
        params.lora_init_without_apply = True
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(a["path"], 0.0) for a in spec["adapters"]]
    if spec["role"] == "embed":
        params.embedding = True
        params.n_batch = params.n_ubatch = spec["context_tokens"]
    return params


def serve(files: dict[str, Any], key: str) -> Any:
    """Start the server; it answers when this returns. Raises `Refused`."""
    try:
        import xllamacpp
    except ImportError:
        raise Refused(MISSING_PACKAGE) from None
    os.umask(0o077)
    Path(files["socket"]).unlink(missing_ok=True)
    try:
        return xllamacpp.Server(parameters(files["spec"], files["socket"], key))
    except RuntimeError as error:
        raise _explained(files, str(error)) from error


def _check(path: str, expected: str, adapter: str | None) -> None:
    what = f"the adapter of '{adapter}'" if adapter else "the base model"
    try:
        with Path(path).open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest() if expected else expected
    except OSError as error:
        raise Refused(f"The file of {what} cannot be read: {error.strerror}.", permanent=False) from error
    if magic != b"GGUF":
        raise Refused(f"The file of {what} is damaged: it is not a GGUF file.", adapter=adapter)
    if digest != expected:
        raise Refused(f"The file of {what} is damaged: its sha256 is not the recorded one.", adapter=adapter)


def _explained(files: dict[str, Any], error: str) -> Refused:
    """llama.cpp's exception says only that it failed; its log says why."""
    log = Path(files["log"]).read_text(encoding="utf-8", errors="replace")[-16_384:]
    lines = [_LOG_PREFIX.sub("", line).strip() for line in log.splitlines() if " E " in line]
    detail = "; ".join(dict.fromkeys(line[:200] for line in lines[:3])) or error
    for path in (files["spec"]["model"]["path"], *(a["path"] for a in files["spec"]["adapters"])):
        detail = detail.replace(path, Path(path).name)
    blamed = next((a["name"] for a in files["spec"]["adapters"] if a["path"] in log), None)
    short_of_memory = "alloc" in log.lower()
    what = f"the adapter of '{blamed}'" if blamed else "the model"
    return Refused(f"llama.cpp cannot load {what}: {detail}"[:600], permanent=not short_of_memory, adapter=blamed)


def _report(files: dict[str, Any], refused: Refused) -> NoReturn:
    report = {"reason": refused.reason, "permanent": refused.permanent, "adapter": refused.adapter}
    part = Path(files["failed"] + ".part")
    part.write_text(json.dumps(report), encoding="utf-8")
    part.replace(files["failed"])
    # native threads may still run: leave without their destructors
    os._exit(1)


if __name__ == "__main__":
    main()
