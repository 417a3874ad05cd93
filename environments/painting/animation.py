"""Films of canvases, as GIF and MP4, and single images as PNG.

Axes: T frames, H height, W width, C channels (1 or 3).
"""

import io
from typing import Any

import numpy as np

from environments import optional

_FRAMES_PER_SECOND = 24  # Players stumble over much lower rates.
_PALETTE = 256  # Colors of a GIF.
_SAMPLED = 8  # Frames whose colors a palette is made for.


def gif(
    frames: np.ndarray,
    *,
    seconds_per_frame: float = 0.2,
    last_seconds: float = 2.0,
) -> bytes:
  """Returns an animated GIF that repeats.

  Args:
    frames: uint8 `[T, H, W, C]`. Gray levels are kept, and so are up to 256
      colors; more are reduced to a palette of 256, which all frames share and
      in which the first pixel of the first frame, often paper, is exact.
    seconds_per_frame: duration of a frame, rounded to 0.01 s, a GIF's unit.
    last_seconds: duration of the last frame, also rounded.

  Raises:
    ImportError: if Pillow is missing.
    ValueError: if a duration is out of range.
  """
  _check(seconds_per_frame, last_seconds)
  image = optional.load('PIL.Image', 'pillow', 'a GIF')
  if frames.shape[-1] == 1:
    first, *others = [image.fromarray(frame[..., 0]) for frame in frames]
  else:
    first, *others = _in_palette(frames, image)
  durations = [10 * max(1, round(100 * seconds_per_frame))] * len(frames)
  durations[-1] = 10 * max(1, round(100 * last_seconds))
  stream = io.BytesIO()
  first.save(
      stream,
      format='GIF',
      save_all=True,
      append_images=others,
      duration=durations,
      loop=0,
  )
  return stream.getvalue()


def mp4(
    frames: np.ndarray,
    *,
    seconds_per_frame: float = 0.2,
    last_seconds: float = 2.0,
) -> bytes:
  """Returns an MP4 film (H.264) that browsers and players show.

  Args:
    frames: uint8 `[T, H, W, C]`. The format needs an even height and width, so
      an odd one loses a pixel.
    seconds_per_frame: duration of a frame, rounded to 1/24 s.
    last_seconds: duration of the last frame, also rounded.

  Raises:
    ImportError: if PyAV is missing.
    ValueError: if a duration is out of range, or the frames are below 2 pixels.
  """
  _check(seconds_per_frame, last_seconds)
  av = optional.load('av', 'av', 'an MP4')
  height, width = (length // 2 * 2 for length in frames.shape[1:3])
  if not height or not width:
    raise ValueError(
        f'frames are {frames.shape[1]} x {frames.shape[2]} pixels, an MP4 needs'
        ' 2 or more; give a larger size'
    )
  stream = io.BytesIO()
  with av.open(stream, 'w', format='mp4') as film:
    video = film.add_stream('libx264', rate=_FRAMES_PER_SECOND)
    video.width, video.height, video.pix_fmt = width, height, 'yuv420p'
    video.options = {'crf': '16', 'preset': 'veryfast', 'tune': 'animation'}
    for index, frame in enumerate(frames):
      is_last = index == len(frames) - 1
      seconds = last_seconds if is_last else seconds_per_frame
      pixels = np.broadcast_to(frame, (*frame.shape[:2], 3))[:height, :width]
      shown = av.VideoFrame.from_ndarray(
          np.ascontiguousarray(pixels), format='rgb24'
      )
      for _ in range(max(1, round(_FRAMES_PER_SECOND * seconds))):
        # The encoder assigns the timestamps.
        shown.pts = None
        film.mux(video.encode(shown))
    film.mux(video.encode())
  return stream.getvalue()


def png(image: np.ndarray) -> bytes:
  """Returns an image, uint8 `[H, W, C]`, as PNG.

  Raises:
    ImportError: if Pillow is missing.
  """
  stream = io.BytesIO()
  library = optional.load('PIL.Image', 'pillow', 'a PNG')
  library.fromarray(_flat(image)).save(stream, format='PNG')
  return stream.getvalue()


def _in_palette(frames: np.ndarray, image: Any) -> list[Any]:
  """Returns color frames as images of Pillow that share a palette.

  Pillow itself makes a palette for each frame, which takes ten times as long,
  and looks colors up in a given one with errors that plain paper shows.
  """
  red, green, blue = np.moveaxis(frames.astype(np.uint32), -1, 0)
  code = red << 16 | green << 8 | blue
  is_used = np.zeros(1 << 24, bool)
  is_used[code] = True
  used = np.flatnonzero(is_used)
  colors = np.stack([used >> 16, used >> 8 & 255, used & 255], axis=1)
  palette = colors
  if len(colors) > _PALETTE:
    some = np.linspace(0, len(frames) - 1, _SAMPLED).round().astype(int)
    sampled = image.fromarray(frames[some].reshape(-1, *frames.shape[2:]))
    chosen = sampled.quantize(_PALETTE - 1).getpalette()
    palette = np.reshape([*chosen, *frames[0, 0, 0]], (-1, 3))
  index = np.zeros(1 << 24, np.uint8)
  index[used] = _nearest(colors, palette)
  shown = [image.fromarray(indices) for indices in index[code]]
  for picture in shown:
    picture.putpalette(palette.astype(np.uint8).tobytes())
  return shown


def _nearest(colors: np.ndarray, palette: np.ndarray) -> np.ndarray:
  """Returns the index of the nearest color of a palette to each color."""
  # Whole numbers below 2^24: float32 holds them exactly.
  palette = palette.astype(np.float32)
  size = (palette**2).sum(axis=1)
  pieces = np.array_split(colors.astype(np.float32), len(colors) // 4096 + 1)
  return np.concatenate(
      [(size - 2 * piece @ palette.T).argmin(axis=1) for piece in pieces]
  )


def _flat(image: np.ndarray) -> np.ndarray:
  """Returns an image without its channel axis if it is gray."""
  return image[..., 0] if image.shape[-1] == 1 else image


def _check(seconds_per_frame: float, last_seconds: float) -> None:
  for name, value in (
      ('seconds_per_frame', seconds_per_frame),
      ('last_seconds', last_seconds),
  ):
    if not 0 < value <= 600:
      raise ValueError(f'{name} is {value}, must be above 0 and at most 600')
