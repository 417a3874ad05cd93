"""MuJoCo model of the scene: a lit platform seen from above, and primitives.

Defines the camera, the lights, the colors and the shapes, without needing
MuJoCo itself. Lengths are in units of half the platform's side; x points right,
y to the back, z up; the platform's top is at z = 0.
"""

from typing import NamedTuple

import numpy as np

from environments.scene import commands as commands_lib
from environments.scene import settings as settings_lib

CAMERA = 'camera'

_EYE = np.array([0.0, -4.15, 4.75])
_TARGET = np.array([0.0, 0.06, 0.06])
_FIELD_OF_VIEW = 22.0  # Vertical, degrees.

SPECULAR = 0.25  # Material of objects.
SHININESS = 0.5


class Shape(NamedTuple):
  """Shape of one kind of object, at size 1."""

  half_sizes: tuple[float, float, float]  # The `size` of MJCF's `geom`.
  height: float  # Height of the center above the platform.


_SHAPES = {
    'sphere': Shape((1.0, 0.0, 0.0), 1.0),
    'box': Shape((0.9, 0.9, 0.9), 0.9),
    'cylinder': Shape((0.9, 0.95, 0.0), 0.95),
    'capsule': Shape((0.75, 0.65, 0.0), 1.4),
}


class Quality(NamedTuple):
  """Level of detail; see `visual/quality` in MuJoCo's XML reference."""

  slices: int = 28  # Subdivisions around a round object.
  stacks: int = 16  # Subdivisions from its bottom to its top.
  samples: int = 0  # Samples per pixel.
  shadow_size: int = 1024  # Size of the shadow map, pixels.


FINE = Quality(slices=64, stacks=48, samples=4, shadow_size=4096)


class Geom(NamedTuple):
  """One object, with the attributes of MJCF's `geom`."""

  shape: str
  size: np.ndarray  # float64 [3].
  position: np.ndarray  # float64 [3].
  rgba: np.ndarray  # float64 [4], in [0, 1].


def geoms(
    settings: settings_lib.SceneSettings, objects: commands_lib.Objects
) -> list[Geom]:
  """Returns the objects of one scene, in order of arrival.

  Args:
    settings: settings of the scene.
    objects: objects of the scene, `[M]` each; absent ones are skipped.
  """
  places = settings.places()
  shades = settings.colors()
  result = []
  for i in np.flatnonzero(objects.present):
    name = settings_lib.OBJECTS[objects.object[i]]
    shape, size = _SHAPES[name], settings.sizes[objects.size[i]]
    levels = [objects.red[i], objects.green[i], objects.blue[i]]
    result.append(
        Geom(
            shape=name,
            size=size * np.array(shape.half_sizes),
            position=np.array(
                [*places[objects.location[i]], size * shape.height]
            ),
            rgba=np.append(shades[levels], 1.0),
        )
    )
  return result


def mjcf(
    objects: list[Geom],
    size: int,
    *,
    quality: Quality = Quality(),
    shadows: bool = False,
) -> str:
  """Returns MuJoCo's XML of a scene, with a camera named `camera`.

  Args:
    objects: objects on the platform.
    size: height and width of the largest picture to be taken, pixels.
    quality: level of detail of the drawing.
    shadows: whether the lamp casts shadows.
  """
  # All light is white, so that each channel of a pixel depends only on that
  # channel of the object's color. sprites.py relies on it.
  forward = _unit(_TARGET - _EYE)
  right = _unit(np.cross(forward, [0.0, 0.0, 1.0]))
  up = np.cross(right, forward)
  lines = [
      f'    <geom name="object {i}" type="{geom.shape}" material="object"'
      f' size="{_text(geom.size)}" pos="{_text(geom.position)}"'
      f' rgba="{_text(geom.rgba)}"/>\n'
      for i, geom in enumerate(objects)
  ]
  return f"""<mujoco model="scene">
  <visual>
    <global offwidth="{size}" offheight="{size}"/>
    <quality offsamples="{quality.samples}" shadowsize="{quality.shadow_size}"
             numslices="{quality.slices}" numstacks="{quality.stacks}"/>
    <headlight ambient="0.38 0.38 0.38" diffuse="0.22 0.22 0.22"
               specular="0 0 0"/>
    <map znear="0.5" zfar="20" shadowclip="3" shadowscale="0.7"/>
  </visual>
  <statistic extent="1" center="0 0 0"/>
  <asset>
    <material name="object" specular="{SPECULAR}" shininess="{SHININESS}"/>
    <material name="matt" specular="0" shininess="0"/>
  </asset>
  <worldbody>
    <camera name="{CAMERA}" pos="{_text(_EYE)}" fovy="{_FIELD_OF_VIEW}"
            xyaxes="{_text(right)} {_text(up)}"/>
    <light name="lamp" type="directional" pos="-3 -2 5" dir="0.55 0.35 -1"
           diffuse="0.6 0.6 0.6" specular="0.5 0.5 0.5" ambient="0 0 0"
           castshadow="{str(shadows).lower()}"/>
    <geom name="ground" type="box" material="matt" size="12 12 0.01"
          pos="0 0 -0.4" rgba="0.25 0.34 0.45 1"/>
    <geom name="platform" type="box" material="matt" size="1 1 0.05"
          pos="0 0 -0.05" rgba="0.83 0.82 0.8 1"/>
{''.join(lines)}  </worldbody>
</mujoco>
"""


def _unit(vector: np.ndarray) -> np.ndarray:
  return vector / np.linalg.norm(vector)


def _text(values: np.ndarray) -> str:
  # Nine digits distinguish any two float32 values.
  return ' '.join(f'{value:.9g}' for value in values)
