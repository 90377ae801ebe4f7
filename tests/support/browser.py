"""A headless Chromium by its driver's own protocol (W3C WebDriver), for the tests of the report's page."""

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

PROGRAMS = ("chromium", "chromedriver")


class Browser:
    """One browser window."""

    def __init__(self, port: int) -> None:
        self._root = f"http://127.0.0.1:{port}"
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{answer['sessionId']}"

    def _call(self, method: str, path: str, content: Any = None) -> Any:
        data = None if content is None else json.dumps(content).encode()
        request = Request(self._root + path, data, {"Content-Type": "application/json"}, method=method)
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, path: Path, width: int, height: int, *, scripts: bool = True) -> None:
        """Show a file in a window of this size."""
        self._devtools("Emulation.setScriptExecutionDisabled", value=not scripts)
        self._devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self._call("POST", f"{self._session}/url", {"url": path.resolve().as_uri()})

    def _devtools(self, command: str, **parameters: Any) -> Any:
        return self._call("POST", f"{self._session}/goog/cdp/execute", {"cmd": command, "params": parameters})

    def run(self, script: str, *values: Any) -> Any:
        """Run JavaScript in the page; return what it returns."""
        return self._call("POST", f"{self._session}/execute/sync", {"script": script, "args": list(values)})

    def move_to(self, x: float, y: float) -> None:
        """Move the mouse to a place in the window."""
        self._devtools("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def console(self) -> list[str]:
        """What the page wrote to the console, and errors, since last asked."""
        entries = self._call("POST", f"{self._session}/se/log", {"type": "browser"})
        return [f"{entry['level']}: {entry['message']}" for entry in entries]

    def screenshot(self) -> bytes:
        """The window as PNG."""
        return base64.b64decode(self._call("GET", f"{self._session}/screenshot"))

    def printed(self) -> bytes:
        """The page as it is printed, PDF."""
        return base64.b64decode(self._call("POST", f"{self._session}/print", {}))

    def close(self) -> None:
        self._call("DELETE", self._session)


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium and its driver, and stop both; a missing program is an error."""
    driver = shutil.which("chromedriver")
    if driver is None:
        raise FileNotFoundError("chromedriver is not installed: apt-get install chromium chromium-driver")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                urlopen(f"http://127.0.0.1:{port}/status", timeout=5).close()
                break
            except URLError:
                time.sleep(0.1)
        window = Browser(port)
        try:
            yield window
        finally:
            window.close()
    finally:
        process.terminate()
        process.wait()
