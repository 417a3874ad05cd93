"""OpenGL without a display, through a context of EGL or OSMesa.

Opens both through ctypes, since MuJoCo's own modules need the choice to be made
by an environment variable before the first import.
"""

from collections.abc import Callable
import ctypes
import os
from typing import Any, Literal, Protocol

Kind = Literal['auto', 'egl', 'osmesa']

_INSTALL = (
    'install it with `sudo apt-get install libegl1 libegl-mesa0'
    ' libgl1-mesa-dri libopengl0` (Debian, Ubuntu)'
)


class NoOpenGLError(OSError):
  """Raised if no OpenGL can draw on this machine without a display."""


class Context(Protocol):
  """OpenGL context. Create, use and free it on a single thread."""

  def make_current(self) -> None:
    """Makes this the context in which the current thread draws."""

  def free(self) -> None:
    """Frees the context; it is unusable afterwards."""


def open_context(kind: Kind, size: int) -> Context:
  """Returns a context that is current on this thread.

  MuJoCo looks up OpenGL's functions once per process, so the first kind that is
  opened is the only one from then on.

  Args:
    kind: 'egl', 'osmesa' or 'auto'. The last means the kind that the process
      uses already, else that of the environment variable MUJOCO_GL, else the
      first that works.
    size: height and width of pictures, pixels.

  Raises:
    NoOpenGLError: if there is none; names the command that installs it.
    ValueError: if `kind` is unknown, or not the one that the process uses.
  """
  if kind not in ('auto', *_OPENERS):
    raise ValueError(f"gl is {kind!r}, must be 'auto', 'egl' or 'osmesa'")
  used = _used[0] if _used else os.environ.get('MUJOCO_GL', '').lower()
  if used in _OPENERS:
    if kind not in ('auto', used):
      raise ValueError(
          f'gl is {kind!r}, but this process draws through {used!r} already'
          ' (or MUJOCO_GL says so), and MuJoCo takes one kind in a process;'
          " leave it at 'auto' or start another process"
      )
    kinds = [used]
  else:
    kinds = list(_OPENERS) if kind == 'auto' else [kind]
  faults = []
  for name in kinds:
    try:
      context = _OPENERS[name](size)
    except OSError as error:
      faults.append(f'{name}: {error}')
      continue
    _used[:] = [name]
    return context
  raise NoOpenGLError(
      f'MuJoCo cannot draw here, for want of OpenGL ({"; ".join(faults)});'
      f' {_INSTALL}'
  )


# Kind that this process uses; empty before the first context.
_used: list[str] = []

_pointer, _int, _uint = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint


class _EglContext:
  """EGL context without a surface: MuJoCo draws into its own buffers."""

  # From EGL/egl.h and eglext.h.
  _PLATFORM_DEVICE = 0x313F
  _PLATFORM_SURFACELESS = 0x31DD
  _EXTENSIONS = 0x3055
  _OPENGL_API = 0x30A2
  _CONFIG = (
      (0x3024, 8),  # Red,
      (0x3023, 8),  # green,
      (0x3022, 8),  # blue,
      (0x3025, 24),  # and depth, bits.
      (0x3033, 0x0001),  # Surface: a pixel buffer.
      (0x3040, 0x0008),  # For OpenGL.
      (0x3038,),  # End.
  )

  def __init__(self, size: int):
    del size
    self._context = None
    self._egl = _load('libEGL.so.1')
    declare = self._declare
    declare('eglGetProcAddress', _pointer, ctypes.c_char_p)
    declare('eglInitialize', _uint, _pointer, _pointer, _pointer)
    declare('eglChooseConfig', _uint, *[_pointer] * 3, _int, _pointer)
    declare('eglCreateContext', _pointer, *[_pointer] * 4)
    declare('eglMakeCurrent', _uint, *[_pointer] * 4)
    declare('eglDestroyContext', _uint, _pointer, _pointer)
    self._display = self._initialize_display()
    attributes = sum(self._CONFIG, ())
    config, found = _pointer(), _int()
    self._egl.eglChooseConfig(
        self._display,
        (_int * len(attributes))(*attributes),
        ctypes.byref(config),
        1,
        ctypes.byref(found),
    )
    if not found.value or not self._egl.eglBindAPI(self._OPENGL_API):
      raise OSError('it has no OpenGL')
    self._context = self._egl.eglCreateContext(
        self._display, config, None, None
    )
    if not self._context:
      raise OSError('it gives no context')
    self.make_current()

  def make_current(self) -> None:
    if not self._egl.eglMakeCurrent(self._display, None, None, self._context):
      raise OSError('EGL does not take its context on this thread')

  def free(self) -> None:
    if self._context:
      self._egl.eglMakeCurrent(self._display, None, None, None)
      self._egl.eglDestroyContext(self._display, self._context)
      self._context = None

  def _initialize_display(self) -> int:
    """Returns the first display that works.

    Tries software rendering before hardware, for the same pictures on all
    machines.
    """
    get_display = self._extension(
        'eglGetPlatformDisplayEXT', _pointer, _uint, _pointer, _pointer
    )
    candidates = [(self._PLATFORM_DEVICE, d) for d in self._devices()]
    for platform, device in (*candidates, (self._PLATFORM_SURFACELESS, None)):
      display = get_display(platform, device, None)
      if display and self._egl.eglInitialize(display, None, None):
        return display
    raise OSError('no display starts; is libgl1-mesa-dri installed?')

  def _devices(self) -> list[int]:
    try:
      query = self._extension(
          'eglQueryDevicesEXT', _uint, _int, _pointer, _pointer
      )
      describe = self._extension(
          'eglQueryDeviceStringEXT', ctypes.c_char_p, _pointer, _int
      )
    except OSError:
      return []
    devices, found = (_pointer * 32)(), _int()
    query(32, devices, ctypes.byref(found))
    return sorted(
        [device for device in devices[: found.value] if device is not None],
        key=lambda d: b'software' not in (describe(d, self._EXTENSIONS) or b''),
    )

  def _declare(self, name: str, result: Any, *arguments: Any) -> None:
    function = getattr(self._egl, name)
    function.restype, function.argtypes = result, arguments

  def _extension(self, name: str, result: Any, *arguments: Any) -> Any:
    address = self._egl.eglGetProcAddress(name.encode())
    if not address:
      raise OSError(f'it has no {name}')
    return ctypes.CFUNCTYPE(result, *arguments)(address)


class _OSMesaContext:
  """OSMesa context, in memory. Mesa 25.1 and later no longer have it."""

  # From GL/gl.h.
  _RGBA = 0x1908
  _UNSIGNED_BYTE = 0x1401

  def __init__(self, size: int):
    self._context = None
    self._size = size
    self._mesa = _load('libOSMesa.so.8', 'libOSMesa.so.6')
    create = self._mesa.OSMesaCreateContextExt
    create.restype, create.argtypes = _pointer, [_uint, *[_int] * 3, _pointer]
    self._mesa.OSMesaMakeCurrent.argtypes = [
        _pointer,
        _pointer,
        _uint,
        _int,
        _int,
    ]
    self._mesa.OSMesaDestroyContext.argtypes = [_pointer]
    # The numbers are the bits of depth, stencil and accumulation buffers.
    self._context = create(self._RGBA, 24, 8, 0, None)
    if not self._context:
      raise OSError('it gives no context')
    self._buffer = (ctypes.c_ubyte * (4 * size * size))()
    self.make_current()

  def make_current(self) -> None:
    if not self._mesa.OSMesaMakeCurrent(
        self._context,
        self._buffer,
        self._UNSIGNED_BYTE,
        self._size,
        self._size,
    ):
      raise OSError('OSMesa does not take its context')

  def free(self) -> None:
    if self._context:
      self._mesa.OSMesaMakeCurrent(None, None, self._UNSIGNED_BYTE, 0, 0)
      self._mesa.OSMesaDestroyContext(self._context)
      self._context = None


_OPENERS: dict[str, Callable[[int], Context]] = {
    'egl': _EglContext,
    'osmesa': _OSMesaContext,
}


def _load(*names: str) -> ctypes.CDLL:
  """Returns the first library that loads.

  Loads it globally: MuJoCo looks up OpenGL's functions among global symbols.
  """
  for name in names:
    try:
      return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    except OSError:
      continue
  raise OSError(f'no {" or ".join(names)}')
