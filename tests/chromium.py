"""A headless Chromium for tests, driven through its DevTools protocol.

Commands and answers are JSON texts that end with a zero byte, on two pipes
(`--remote-debugging-pipe`), so that nothing has to be installed beside the
browser and no port is opened.
"""

import base64
import fcntl
import io
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time

import numpy as np
from PIL import Image

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
_TIMEOUT = 60.0  # Seconds that anything may take.


def find() -> str | None:
  """Returns the path of a browser, None if there is none."""
  return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
  """One page of a browser of its own, to be used in a `with` statement."""

  def __init__(self, folder: pathlib.Path, width: int, height: int):
    """Starts a browser.

    Args:
      folder: empty, for what the browser writes.
      width: of the page, pixels.
      height: likewise.
    """
    command_out, command_in = os.pipe()
    answer_out, answer_in = os.pipe()

    def connect():  # The browser takes its descriptors 3 and 4 for this.
      # Copies first: one of the pipes may have the number 3 or 4 itself.
      ends = [
          fcntl.fcntl(end, fcntl.F_DUPFD, 5) for end in (command_out, answer_in)
      ]
      for descriptor, end in enumerate(ends, start=3):
        os.dup2(end, descriptor)
        os.close(end)

    path = find()
    assert path is not None, 'no browser'
    self._log = tempfile.TemporaryFile()
    self._process = subprocess.Popen(
        [
            path,
            '--headless=new',
            '--no-sandbox',
            '--disable-gpu',
            '--disable-dev-shm-usage',
            '--disable-background-networking',
            '--hide-scrollbars',
            '--force-color-profile=srgb',
            '--no-first-run',
            '--remote-debugging-pipe',
            f'--user-data-dir={folder}',
            'about:blank',
        ],
        preexec_fn=connect,
        close_fds=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=self._log,
    )
    os.close(command_out)
    os.close(answer_in)
    self._command_in, self._answer_out = command_in, answer_out
    self._answers = b''
    self._last_id = 0
    self._session = None
    self.console: list[str] = []  # Errors of the page, and what it logs.
    self.requests: list[str] = []  # Addresses that the page loaded.
    target = self._ask('Target.createTarget', url='about:blank')['targetId']
    self._session = self._ask(
        'Target.attachToTarget', targetId=target, flatten=True
    )['sessionId']
    for domain in ('Page', 'Runtime', 'Log', 'Network'):
      self._ask(f'{domain}.enable')
    self._ask(
        'Emulation.setDeviceMetricsOverride',
        width=width,
        height=height,
        deviceScaleFactor=1,
        mobile=False,
    )

  def __enter__(self) -> 'Page':
    return self

  def __exit__(self, *unused):
    os.close(self._command_in)  # The browser ends with its pipes.
    os.close(self._answer_out)
    try:
      self._process.wait(timeout=10)
    except subprocess.TimeoutExpired:
      self._process.kill()
      self._process.wait()
    self._log.close()

  def open(self, path: pathlib.Path, until: str = 'true') -> None:
    """Opens a file and waits until an expression in it is true."""
    self.console.clear()
    self.requests.clear()
    self._ask('Page.navigate', url=path.absolute().as_uri())
    self.wait(f"document.readyState === 'complete' && ({until})")

  def evaluate(self, expression: str):
    """Returns the value of an expression, a promise's once it is there."""
    answer = self._ask(
        'Runtime.evaluate',
        expression=expression,
        returnByValue=True,
        awaitPromise=True,
        userGesture=True,
    )
    assert 'exceptionDetails' not in answer, answer
    return answer['result'].get('value')

  def wait(self, expression: str) -> None:
    """Waits until an expression is true."""
    deadline = time.monotonic() + _TIMEOUT
    while not self.evaluate(expression):
      assert time.monotonic() < deadline, f'never true: {expression}'
      time.sleep(0.02)

  def press(self, key: str) -> None:
    """Presses a key, named as in JavaScript, where the focus is."""
    for kind in ('keyDown', 'keyUp'):
      self._ask('Input.dispatchKeyEvent', type=kind, key=key, code=key)

  def click(self, selector: str) -> None:
    """Clicks the middle of an element with a mouse."""
    x, y = self.evaluate(
        f'(() => {{const e = document.querySelector({json.dumps(selector)});'
        " e.scrollIntoView({block: 'center'});"
        ' const box = e.getBoundingClientRect();'
        ' return [box.x + box.width / 2, box.y + box.height / 2]})()'
    )
    for kind in ('mousePressed', 'mouseReleased'):
      self._ask(
          'Input.dispatchMouseEvent',
          type=kind,
          x=x,
          y=y,
          button='left',
          clickCount=1,
      )

  def pixels(self, selector: str) -> np.ndarray:
    """Returns what is on a canvas, uint8 `[H, W, 4]`, with its alpha."""
    width, height, data = self.evaluate(
        f'(() => {{const c = document.querySelector({json.dumps(selector)});'
        " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height);"
        " let s = ''; for (const v of d.data) s += String.fromCharCode(v);"
        ' return [c.width, c.height, btoa(s)]})()'
    )
    flat = np.frombuffer(base64.b64decode(data), np.uint8)
    return flat.reshape(height, width, 4)

  def screenshot(self) -> np.ndarray:
    """Returns the page as it is seen, uint8 `[height, width, 3]`."""
    data = self._ask('Page.captureScreenshot', format='png')['data']
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
      return np.asarray(image.convert('RGB'))

  def _ask(self, method: str, **params):
    """Sends a command; returns its result and keeps the events before it."""
    self._last_id += 1
    message = {'id': self._last_id, 'method': method, 'params': params}
    if self._session is not None:
      message['sessionId'] = self._session
    os.write(self._command_in, json.dumps(message).encode() + b'\0')
    while True:
      answer = self._receive()
      if answer.get('id') == self._last_id:
        assert 'error' not in answer, (method, answer['error'])
        return answer['result']
      self._note(answer)

  def _note(self, event) -> None:
    params = event.get('params', {})
    if event.get('method') == 'Network.requestWillBeSent':
      self.requests.append(params['request']['url'])
    elif event.get('method') in (
        'Runtime.exceptionThrown',
        'Runtime.consoleAPICalled',
        'Log.entryAdded',
    ):
      self.console.append(json.dumps(params))

  def _said(self) -> str:
    self._log.seek(0)
    return self._log.read().decode(errors='replace')

  def _receive(self):
    deadline = time.monotonic() + _TIMEOUT
    while b'\0' not in self._answers:
      ready, _, _ = select.select([self._answer_out], [], [], 1.0)
      assert time.monotonic() < deadline, 'the browser does not answer'
      if ready:
        part = os.read(self._answer_out, 1 << 20)
        assert part, f'the browser ended, and said:\n{self._said()}'
        self._answers += part
    answer, _, self._answers = self._answers.partition(b'\0')
    return json.loads(answer)
