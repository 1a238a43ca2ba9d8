"""A real Chromium without a window, told what to do over a pair of pipes."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import F_DUPFD, fcntl
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_SWITCHES = ("--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", "--no-first-run")


class Page:
    """A page of a browser; what it is told is done when the call returns."""

    def __init__(self, to: int, answers: int, wanted: float) -> None:
        self._to, self._answers, self._wanted = to, answers, wanted
        self._read = b""
        self._number = 0
        self._session = ""
        self._session = self._tell("Target.attachToTarget", targetId=self._opened(), flatten=True)["sessionId"]
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self._tell(f"{domain}.enable")

    def open(self, address: str) -> None:
        """Goes to an address."""
        self._tell("Page.navigate", url=address)

    def first(self, script: str) -> str:
        """Runs a script before those of every page that is opened from now on; answers its name."""
        return str(self._tell("Page.addScriptToEvaluateOnNewDocument", source=script)["identifier"])

    def no_more(self, script: str) -> None:
        """Runs the script of a name no more."""
        self._tell("Page.removeScriptToEvaluateOnNewDocument", identifier=script)

    def size(self, width: int, height: int) -> None:
        """Shows the page as a screen of this size does, in CSS pixels."""
        self._tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def answer(self, expression: str) -> Any:
        """What an expression of JavaScript comes to, as JSON has it."""
        told = self._tell("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise AssertionError(f"{expression}: {told['exceptionDetails']}")
        return told["result"].get("value")

    def until(self, expression: str) -> Any:
        """What an expression comes to once that is something: a page that is on its way may have nothing of it yet.

        Raises an `AssertionError` with the page's text if it never is.
        """
        deadline = time.monotonic() + self._wanted
        while True:
            try:
                found, why = self.answer(expression), ""
            except AssertionError as error:
                found, why = None, str(error)
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"never true: {why or expression}\n{self.text()}\n{self.complaints}")
            time.sleep(0.05)

    def text(self) -> str:
        """What people read on the page."""
        return str(self.answer("document.body.innerText"))

    def press(self, key: str, code: int) -> None:
        """Presses a key: its name, and its number."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self._tell("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def _opened(self) -> str:
        while True:
            for target in self._tell("Target.getTargets")["targetInfos"]:
                if target["type"] == "page":
                    return str(target["targetId"])
            time.sleep(0.05)

    def _tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        told = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            told["sessionId"] = self._session
        os.write(self._to, json.dumps(told).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result
            if answer.get("method") in {"Runtime.exceptionThrown", "Log.entryAdded"}:
                self.complaints.append(json.dumps(answer["params"]))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            part = os.read(self._answers, 1 << 16)
            if not part:
                raise AssertionError("the browser has ended")
            self._read += part
        message, _, self._read = self._read.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        return told


@contextmanager
def browsing(profile: Path, seconds: float = 20) -> Iterator[Page]:
    """A page of a new browser, whose files are in `profile`; what is waited for may take so many seconds."""
    theirs, to = os.pipe()
    answers, told = os.pipe()

    def as_the_browser_knows_them() -> None:
        # It reads from number 3 and writes to number 4, which either pipe may have: beyond 10 none is in the way.
        reads, writes = fcntl(theirs, F_DUPFD, 10), fcntl(told, F_DUPFD, 10)
        os.dup2(reads, 3)
        os.dup2(writes, 4)

    process = subprocess.Popen(
        [str(CHROMIUM), *_SWITCHES, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
        preexec_fn=as_the_browser_knows_them,  # noqa: PLW1509 - no thread of the tests holds what dup2 needs
    )
    os.close(theirs)
    os.close(told)
    try:
        yield Page(to, answers, seconds)
    finally:
        process.terminate()
        process.wait(10)
        os.close(to)
        os.close(answers)
