"""Renderer of scenes by MuJoCo itself, at any size, optionally with shadows.

It makes the table of sprites (sprites.py) from which the environment draws. The
environment's pictures equal MuJoCo's bit for bit.
"""

import threading
from typing import Any

import numpy as np

from environments import core
from environments.scene import gl as gl_lib
from environments.scene import world


class LiveRenderer:
  """Draws scenes through OpenGL, one at a time.

  Create, use and close it on a single thread. Use it in a `with` statement, or
  call `close`.
  """

  def __init__(
      self,
      size: int,
      *,
      max_objects: int = 20,
      quality: world.Quality = world.Quality(),
      shadows: bool = False,
      platform: bool = True,
      gl: gl_lib.Kind = 'auto',
  ):
    """Compiles a model of the empty platform.

    Args:
      size: height and width of pictures, pixels.
      max_objects: largest number of objects in a scene.
      quality: level of detail of the drawing.
      shadows: whether the lamp casts shadows.
      platform: whether to draw platform and ground besides the objects.
      gl: 'egl', 'osmesa' or 'auto'; see `gl.open_context`.

    Raises:
      NoOpenGLError: if there is no OpenGL; names the command that installs it.
      ValueError: if an argument is out of range, or the process already uses
        another kind of OpenGL.
    """
    self._mjr: Any = None
    core.check_int('size', size, 1, 4096)
    self._context = gl_lib.open_context(gl, size)
    self._thread = threading.get_ident()

    import mujoco  # Late: an environment with a table never needs it.

    self._mujoco = mujoco
    self._size = size
    model = mujoco.MjModel.from_xml_string(
        world.mjcf([], size, quality=quality, shadows=shadows)
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    self._scene = mujoco.MjvScene(model, maxgeom=model.ngeom + max_objects)
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
    camera.fixedcamid = model.camera(world.CAMERA).id
    mujoco.mjv_updateScene(
        model,
        data,
        mujoco.MjvOption(),
        None,
        camera,
        mujoco.mjtCatBit.mjCAT_ALL,
        self._scene,
    )
    self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
    if not platform:
      self._scene.ngeom = 0
    self._num_fixed = self._scene.ngeom
    self._mjr = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._mjr)
    # As in OpenGL's buffer: the reverse order would lose precision.
    self._mjr.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
    self._viewport = mujoco.MjrRect(0, 0, size, size)

  def __enter__(self) -> 'LiveRenderer':
    return self

  def __exit__(self, *unused_error: Any) -> None:
    self.close()

  def render(self, objects: list[world.Geom]) -> np.ndarray:
    """Returns a picture of a scene, uint8 `[size, size, 3]`.

    Args:
      objects: objects on the platform.

    Raises:
      RuntimeError: if the renderer is closed or was made on another thread.
      ValueError: if there are more objects than `max_objects`.
    """
    self._draw(objects)
    pixels = np.empty((self._size, self._size, 3), np.uint8)
    self._mujoco.mjr_readPixels(pixels, None, self._viewport, self._mjr)
    return pixels[::-1].copy()

  def render_depth(
      self, objects: list[world.Geom]
  ) -> tuple[np.ndarray, np.ndarray]:
    """Returns a picture of a scene and the nearness of each pixel.

    Args:
      objects: objects on the platform.

    Returns:
      The picture, uint8 `[size, size, 3]`, and the nearness, float32
      `[size, size]`, from 0 (empty) to 1 (nearest).

    Raises:
      The same errors as `render`.
    """
    self._draw(objects)
    pixels = np.empty((self._size, self._size, 3), np.uint8)
    nearness = np.empty((self._size, self._size), np.float32)
    self._mujoco.mjr_readPixels(pixels, nearness, self._viewport, self._mjr)
    return pixels[::-1].copy(), nearness[::-1].copy()

  def close(self) -> None:
    """Frees the renderer's resources; it is unusable afterwards."""
    if self._mjr is not None:
      self._check_thread()
      self._context.make_current()
      self._mjr.free()
      self._mjr = None
      self._context.free()

  def _draw(self, objects: list[world.Geom]) -> None:
    if self._mjr is None:
      raise RuntimeError('the renderer is closed; make another one')
    self._check_thread()
    if self._num_fixed + len(objects) > self._scene.maxgeom:
      raise ValueError(
          f'{len(objects)} objects; max_objects is'
          f' {self._scene.maxgeom - self._num_fixed}'
      )
    self._scene.ngeom = self._num_fixed
    for geom in objects:
      self._append(geom)
    self._context.make_current()
    self._mujoco.mjr_render(self._viewport, self._scene, self._mjr)

  def _append(self, geom: world.Geom) -> None:
    """Appends a geom as MuJoCo would for a geom of the model."""
    slot = self._scene.geoms[self._scene.ngeom]
    self._mujoco.mjv_initGeom(
        slot,
        _TYPES[geom.shape],
        geom.size,
        geom.position,
        _UPRIGHT,
        geom.rgba.astype(np.float32),
    )
    # mjv_initGeom keeps their old values, and decoration casts no shadow.
    slot.objtype, slot.objid = self._mujoco.mjtObj.mjOBJ_UNKNOWN, -1
    slot.category = self._mujoco.mjtCatBit.mjCAT_DYNAMIC
    slot.specular = world.SPECULAR
    slot.shininess = world.SHININESS
    self._scene.ngeom += 1

  def _check_thread(self) -> None:
    if threading.get_ident() != self._thread:
      raise RuntimeError(
          'a LiveRenderer was made on another thread; OpenGL wants it to be'
          ' made, used and closed on one'
      )


_UPRIGHT = np.eye(3).ravel()
# Values of MuJoCo's mjtGeom.
_TYPES = {'sphere': 2, 'capsule': 3, 'cylinder': 5, 'box': 6}
