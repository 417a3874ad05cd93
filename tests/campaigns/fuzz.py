"""Feeds damaged inputs to the library and counts what becomes of each.

For example, all kinds, or one input again:

  python -m tests.campaigns.fuzz --count=1000
  python -m tests.campaigns.fuzz --kinds=images --seed=123 --count=1

An input is accepted, or refused in one line that names its file. All else is a
failure: other errors, inputs that take longer than --seconds, and crashes of
the process that reads them, a child that is started again. MiB are the most
that a child held, with the library itself.
The exit status is 1 if there are failures. An input depends on its kind and its
seed alone; seeds are --seed, --seed + 1 and so on.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
import gzip
import hashlib
import io
import json
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import resource
import signal
import struct
import sys
import tempfile
import time
import warnings
import zipfile
import zlib

from absl import flags
from absl import logging
import numpy as np
from PIL import Image
import rich.console
import rich.progress
import rich.table

from spiral_jax.datasets import celeba
from spiral_jax.datasets import folder as folder_lib
from spiral_jax.datasets import idx
from spiral_jax.datasets import mnist
from spiral_jax.datasets import omniglot
from spiral_jax.datasets import scenes
from spiral_jax.datasets import user_images
from spiral_jax.training import cli
from tests.campaigns import fuzz_painting

_KINDS = flags.DEFINE_list(
    'kinds', None, 'kinds of inputs; by default all, see --help'
)
_COUNT = flags.DEFINE_integer(
    'count', 1000, 'number of inputs of each kind', lower_bound=1
)
_SEED = flags.DEFINE_integer('seed', 0, 'seed of the first input')
_SECONDS = flags.DEFINE_float('seconds', 10.0, 'time that an input may take')
_MEMORY = flags.DEFINE_integer(
    'memory',
    2048,
    'MiB that inputs may take besides the program',
    lower_bound=1,
)

Kind = Callable[[np.random.Generator, pathlib.Path], None]

# Errors by which an input may be refused; and what else may become of it.
_REFUSALS = (ValueError, OSError, ImportError)
ACCEPTED, REFUSED = 'accepted', 'refused'
ERROR, SLOW, CRASH = 'errors', 'slow', 'crashes'
OUTCOMES = (ACCEPTED, REFUSED, ERROR, SLOW, CRASH)
_START_SECONDS = 120.0  # Time that a child may take to import the library.
_SHOWN = 20  # Failures that are printed.


class Result:
  """Counts of outcomes of a kind, and its failures.

  Attributes:
    counts: number of inputs by outcome, for each of `OUTCOMES`.
    failures: seed and description of each failure.
    peak: most memory that a child held, MiB.
    seconds: time that all inputs took.
  """

  def __init__(self) -> None:
    self.counts = dict.fromkeys(OUTCOMES, 0)
    self.failures: list[tuple[int, str]] = []
    self.peak = 0.0
    self.seconds = 0.0

  def add(self, seed: int, outcome: str, message: str) -> None:
    """Counts an input."""
    self.counts[outcome] += 1
    if outcome not in (ACCEPTED, REFUSED):
      self.failures.append((seed, f'{outcome}: {message}'))


@dataclasses.dataclass
class _Child:
  """A process that reads inputs of a kind, and the pipe to it."""

  process: multiprocessing.process.BaseProcess
  pipe: multiprocessing.connection.Connection

  def stop(self) -> None:
    """Ends the process, whatever it does."""
    self.process.kill()
    self.process.join()
    self.pipe.close()


def fuzz(
    make: Kind,
    seeds: Sequence[int],
    *,
    seconds: float = 10.0,
    memory: int = 2048,
) -> Result:
  """Returns what became of inputs, each made and read in a child process.

  Args:
    make: function of a module that makes an input in an empty folder and feeds
      it to the library.
    seeds: seeds of the inputs.
    seconds: time that an input may take.
    memory: MiB that inputs may take besides the program.

  Raises:
    RuntimeError: if a child does not start.
  """
  result = Result()
  child: _Child | None = None
  start = time.monotonic()
  try:
    for seed in seeds:
      if child is None:
        child = _started(make, memory)
      try:
        child.pipe.send(seed)
        if child.pipe.poll(seconds):
          outcome, message, peak = child.pipe.recv()
          result.peak = max(result.peak, peak)
        else:
          outcome, message = SLOW, f'longer than {seconds:g} seconds'
      except (EOFError, OSError):
        child.process.join()
        outcome, message = CRASH, _exit_name(child.process.exitcode)
      result.add(seed, outcome, message)
      if outcome in (SLOW, CRASH):
        child.stop()
        child = None
  finally:
    if child is not None:
      child.stop()
  result.seconds = time.monotonic() - start
  return result


def _started(make: Kind, memory: int) -> _Child:
  """Starts a child and waits until it can read inputs."""
  context = multiprocessing.get_context('spawn')
  ours, theirs = context.Pipe()
  process = context.Process(target=_read, args=(theirs, make, memory))
  process.start()
  theirs.close()
  child = _Child(process, ours)
  try:
    if ours.poll(_START_SECONDS):
      ours.recv()
      return child
  except (EOFError, OSError):
    pass
  child.stop()
  raise RuntimeError('the process that reads inputs does not start')


def _read(
    pipe: multiprocessing.connection.Connection, make: Kind, memory: int
) -> None:
  """Makes and reads an input for each seed that comes through the pipe."""
  # Decoders in C warn on standard error, thousands of times.
  os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
  logging.set_verbosity(logging.ERROR)
  warnings.simplefilter('ignore')
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent ends this process.
  pages = int(pathlib.Path('/proc/self/statm').read_text().split()[0])
  most = pages * resource.getpagesize() + (memory << 20)
  resource.setrlimit(resource.RLIMIT_AS, (most, most))
  pipe.send('ready')
  while True:
    try:
      seed = pipe.recv()
    except EOFError:
      return
    with tempfile.TemporaryDirectory(prefix='fuzz-') as name:
      os.environ['XDG_CACHE_HOME'] = f'{name}/cache'
      folder = pathlib.Path(name, 'input')
      folder.mkdir()
      outcome, message = _outcome(make, seed, folder)
    pipe.send((outcome, message, _peak()))


def _peak() -> float:
  """Returns the most memory that this process held, in MiB."""
  # Not that of getrusage, which a new program inherits from its parent.
  status = pathlib.Path('/proc/self/status').read_text()
  lines = dict(line.split(':', 1) for line in status.splitlines())
  return int(lines['VmHWM'].split()[0]) / 1024


def _outcome(make: Kind, seed: int, folder: pathlib.Path) -> tuple[str, str]:
  """Returns what becomes of an input, and why."""
  try:
    make(np.random.default_rng(seed), folder)
  except Exception as error:
    message = f'{type(error).__name__}: {error}'
    # Subclasses such as UnicodeDecodeError do not name file and remedy.
    is_own = not isinstance(error, ValueError) or type(error) is ValueError
    if isinstance(error, _REFUSALS) and is_own and '\n' not in message:
      if str(folder) in message:
        return REFUSED, message
      message += ' (names no file)'
    return ERROR, ' '.join(message.split())[:300]
  return ACCEPTED, ''


def _exit_name(code: int | None) -> str:
  if code is not None and code < 0:
    return signal.Signals(-code).name
  return f'exit status {code}'


# What all kinds damage bytes by.


def damaged(
    rng: np.random.Generator, content: bytes, *, share_sound: float = 0.1
) -> bytes:
  """Returns content with flipped, lost, doubled, moved or random bytes.

  Args:
    rng: source of randomness.
    content: sound content.
    share_sound: probability that it stays sound.
  """
  if rng.random() < share_sound or not content:
    return content
  data = bytearray(content)
  for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
    if not data:
      break
    # Half of the faults are where headers are.
    end = min(64, len(data)) if rng.random() < 0.5 else len(data)
    at, length = int(rng.integers(end)), int(rng.geometric(0.05))
    action = rng.integers(6)
    if action == 0:
      data[at] ^= 1 << int(rng.integers(8))
    elif action == 1:
      data[at] = int(rng.choice([0, 1, 2, 10, 44, 127, 128, 255]))
    elif action == 2:
      del data[at : at + length]
    elif action == 3:
      data[at:at] = data[at : at + length]
    elif action == 4:
      data[at : at + length] = rng.bytes(length)
    else:
      huge = rng.choice([0xFF, 0x7F, 0x00])
      data[at : at + 4] = bytes([huge, 0xFF, 0xFF, 0xFF])
  if rng.random() < 0.15:
    del data[int(rng.integers(len(data) + 1)) :]
  return bytes(data)


# Pictures.

_MODES = ('1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'CMYK', 'I;16', 'F')
_ENDINGS = {
    'PNG': '.png',
    'JPEG': '.jpg',
    'WEBP': '.webp',
    'AVIF': '.avif',
    'GIF': '.gif',
    'BMP': '.bmp',
    'TIFF': '.tiff',
    'PPM': '.ppm',
    'JPEG2000': '.jp2',
}


def images(rng: np.random.Generator, folder: pathlib.Path) -> None:
  """Makes and reads a damaged picture with odd metadata."""
  kind = str(rng.choice(list(_ENDINGS)))
  other = str(rng.choice(list(_ENDINGS)))
  ending = _ENDINGS[kind if rng.random() < 0.9 else other]
  path = folder / f'a{ending}'
  path.write_bytes(damaged(rng, _picture(rng, kind), share_sound=0.4))
  size, channels = int(rng.integers(1, 40)), int(rng.choice([1, 3]))
  fit = str(rng.choice(folder_lib.FITS))
  if rng.random() < 0.5:
    image = folder_lib.read(path, size=size, channels=channels, fit=fit)
  else:
    _, (image,) = user_images.read(
        path,
        size=size,
        channels=channels,
        fit=fit,
        invert=str(rng.choice(user_images.CHOICES)),
        contrast=str(rng.choice(user_images.CHOICES)),
    )
  assert image.shape == (size, size, channels) and image.dtype == np.uint8


def _picture(rng: np.random.Generator, kind: str) -> bytes:
  """Returns a small picture file of a kind, rarely of a vast picture."""
  height, width = (int(n) for n in rng.integers(1, 48, 2))
  if kind == 'PNG' and rng.random() < 0.02:
    return _vast_png(rng)
  pixels = rng.integers(0, 256, (height, width, 4)).astype(np.uint8)
  picture = Image.fromarray(pixels, 'RGBA')
  mode = str(rng.choice(_MODES))
  if mode == 'I;16':
    picture = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
  elif mode != 'RGBA':
    picture = picture.convert('RGB').convert(mode)
  options: dict[str, object] = {}
  if rng.random() < 0.5:
    options['exif'] = damaged(rng, _exif(rng))
  if rng.random() < 0.3:
    options['icc_profile'] = damaged(rng, _profile())
  if kind == 'TIFF':
    options['compression'] = str(rng.choice(['raw', 'tiff_lzw', 'jpeg']))
  stream = io.BytesIO()
  for tried in (options, {}):
    for converted in (picture, picture.convert('RGB')):
      stream = io.BytesIO()
      try:
        converted.save(stream, kind, **tried)
        return stream.getvalue()
      except Exception:  # Not all kinds hold all modes and metadata.
        continue
  return stream.getvalue()


def _vast_png(rng: np.random.Generator) -> bytes:
  """Returns a small file of up to 200 megapixels of one shade."""
  width, height = (int(n) for n in rng.integers(1000, 14_000, 2))
  deflate = zlib.compressobj(9)
  row = bytes(1 + (width + 7) // 8)
  rows = b''.join(deflate.compress(row) for _ in range(height))
  parts = [b'\x89PNG\r\n\x1a\n']
  for name, data in (
      (b'IHDR', struct.pack('>2I5B', width, height, 1, 0, 0, 0, 0)),
      (b'zTXt', b'Comment\0\0' + zlib.compress(bytes(1 << 21))),
      (b'IDAT', rows + deflate.flush()),
      (b'IEND', b''),
  ):
    parts.append(struct.pack('>I', len(data)) + name + data)
    parts.append(struct.pack('>I', zlib.crc32(name + data)))
  return b''.join(parts)


def _exif(rng: np.random.Generator) -> bytes:
  exif = Image.Exif()
  exif[0x0112] = int(rng.integers(0, 10))
  exif[0x010F], exif[0x011A] = 'maker', 72.0
  exif.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
  exif.get_ifd(0x8769)[0x9286] = b'comment'
  return exif.tobytes()


def _profile() -> bytes:
  from PIL import ImageCms

  return ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()


# Files of data sets.


def archives(rng: np.random.Generator, folder: pathlib.Path) -> None:
  """Makes and reads damaged files of one of the data sets."""
  make = (_digits, _characters, _faces, _scenes)[rng.integers(4)]
  make(rng, folder)


def _digits(rng: np.random.Generator, folder: pathlib.Path) -> None:
  count = int(rng.integers(0, 4))
  least = int(rng.random() < 0.9)
  for name, shape in (
      ('t10k-images-idx3-ubyte', (count, *rng.integers(least, 30, 2))),
      ('t10k-labels-idx1-ubyte', (count,)),
  ):
    array = rng.integers(0, 256, shape).astype(np.uint8)
    content = idx.header(array) + array.tobytes()
    content = damaged(rng, content, share_sound=0.7)
    if rng.random() < 0.3:
      content = gzip.compress(content, mtime=0)
      content = damaged(rng, content, share_sound=0.7)
    name = name.replace('-idx', '.idx') if rng.random() < 0.2 else name
    (folder / name).write_bytes(content)
  digits = mnist.load('test', data_dir=str(folder), size=8)
  assert digits.labels is not None
  assert len(digits.images) == len(digits.labels) > 0


def _characters(rng: np.random.Generator, folder: pathlib.Path) -> None:
  stream = io.BytesIO()
  Image.fromarray(rng.random((105, 105)) < 0.9).save(stream, 'PNG')
  drawing = stream.getvalue()
  packed = io.BytesIO()
  nested = 'images_background/' if rng.random() < 0.3 else ''
  with zipfile.ZipFile(packed, 'w') as archive:
    for i in range(int(rng.integers(0, 4))):
      alphabet = str(rng.choice(['Greek', 'Café', 'a\\b', '\udce9', '../x']))
      name = f'{nested}images_background/{alphabet}/character01/{i:04}_01.png'
      content = damaged(rng, drawing, share_sound=0.7)
      if rng.random() < 0.5:
        archive.writestr(name.encode(errors='replace').decode(), content)
      else:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
  if rng.random() < 0.4:
    (folder / 'images_background.zip').write_bytes(
        damaged(rng, packed.getvalue(), share_sound=0.5)
    )
  drawings = omniglot.load('train', data_dir=str(folder), size=8)
  assert drawings.labels is not None
  assert len(drawings.images) == len(drawings.labels) > 0


def _faces(rng: np.random.Generator, folder: pathlib.Path) -> None:
  stream = io.BytesIO()
  Image.new('RGB', (178, 218), (90, 80, 70)).save(stream, 'JPEG')
  names = [f'{i:06}.jpg' for i in range(int(rng.integers(0, 4)))]
  inner = folder / 'img_align_celeba'
  inner /= 'img_align_celeba' if rng.random() < 0.5 else ''
  inner.mkdir(parents=True)
  for name in names:
    content = damaged(rng, stream.getvalue(), share_sound=0.9)
    (inner / name).write_bytes(content)
  is_table = rng.random() < 0.5
  lines = is_table * ['image_id,partition']
  lines += [f'{n}{", "[not is_table]}{rng.integers(3)}' for n in names]
  mark = rng.choice(['utf-8', 'utf-8-sig', 'utf-16', 'latin-1'])
  text = str(rng.choice(['\n', '\r\n'])).join(lines)
  name = f'list_eval_partition.{"csv" if is_table else "txt"}'
  (folder / name).write_bytes(damaged(rng, text.encode(mark), share_sound=0.5))
  faces = celeba.load('train', data_dir=str(folder), size=8)
  assert len(faces.images) > 0


def _scenes(rng: np.random.Generator, folder: pathlib.Path) -> None:
  count = int(rng.integers(0, 3))
  arrays = {
      'about': np.array(
          damaged(
              rng,
              json.dumps({'version': 1, 'settings': {}}).encode(),
              share_sound=0.7,
          ).decode(errors='replace')
      ),
      'images': np.zeros((count, 8, 8, 3), np.uint8),
      'present': np.ones((count, 2), bool),
  }
  arrays |= {part: np.zeros((count, 2), np.uint16) for part in scenes.PARTS}
  stream = io.BytesIO()
  np.savez(stream, allow_pickle=False, **arrays)
  content = damaged(rng, stream.getvalue(), share_sound=0.3)
  path = folder / 'train.npz'
  path.write_bytes(content)
  line = f'{hashlib.sha256(content).hexdigest()}  train.npz\n'.encode()
  path.with_name('train.npz.sha256').write_bytes(
      damaged(rng, line, share_sound=0.9)
  )
  assert len(scenes.load('train', data_dir=str(folder)).images) > 0


def _of_text(
    kind: Kind, rng: np.random.Generator, folder: pathlib.Path
) -> None:
  """Makes an input that is no file, for an error to name."""
  try:
    kind(rng, folder)
  except (ValueError, OSError) as error:
    raise ValueError(f'{folder}: {error}') from error


# A kind is one function, and one line here.
KINDS: dict[str, Kind] = {
    'images': images,
    'archives': archives,
    **{
        name: functools.partial(_of_text, kind)
        for name, kind in fuzz_painting.KINDS.items()
    },
}


def main(argv: Sequence[str]) -> None:
  """Fuzzes the kinds that the flags name, and prints a table."""
  del argv
  names = _KINDS.value or list(KINDS)
  for name in names:
    if name not in KINDS:
      raise ValueError(f'--kinds has {name!r}; choose from {", ".join(KINDS)}')
  console = rich.console.Console(highlight=False)
  seeds = range(_SEED.value, _SEED.value + _COUNT.value)
  table = rich.table.Table('kind', 'inputs', *OUTCOMES, 'MiB', 's')
  failed = []
  for name in names:
    result = fuzz(
        KINDS[name], seeds, seconds=_SECONDS.value, memory=_MEMORY.value
    )
    table.add_row(
        name,
        str(len(seeds)),
        *map(str, result.counts.values()),
        f'{result.peak:.0f}',
        f'{result.seconds:.0f}',
    )
    failed += [(name, seed, why) for seed, why in result.failures]
  console.print(table)
  for name, seed, why in failed[:_SHOWN]:
    console.print(
        f'--kinds={name} --seed={seed} --count=1: {why}',
        markup=False,
        soft_wrap=True,
    )
  if len(failed) > _SHOWN:
    console.print(f'and {len(failed) - _SHOWN} more failures')
  sys.exit(1 if failed else 0)


if __name__ == '__main__':
  cli.run(main)
