"""SVG: well-formed, the curves of the commands, and as a browser draws it."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from environments import painting
from tests.environments.painting import golden

_NAME = '{http://www.w3.org/2000/svg}'


def _program(**parts):
  """Returns a stroke, a move, and two strokes in one go; five-fold grid."""
  settings = painting.PaintingSettings(canvas_size=50, grid_size=5, color=True)
  commands = {
      'flag': [1, 0, 1, 1],
      'end': [6, 7, 13, 14],
      'control': [1, 0, 12, 9],
      'size': [0, 0, 1, 2],
      'pressure': [9, 9, 9, 4],
      'red': [19, 0, 0, 0],
      'green': [0, 0, 0, 0],
      'blue': [0, 0, 0, 0],
      **parts,
  }
  return painting.Program(settings, commands)


def _paths(text):
  root = ElementTree.fromstring(text)
  assert root.tag == f'{_NAME}svg'
  return root, list(root.iter(f'{_NAME}path'))


def _points(path):
  """Returns start, control point and end of a path of one curve, `[3, 2]`."""
  numbers = re.fullmatch(r'M(.+)Q(.+) (.+)', path.get('d')).groups()
  return np.array([[float(x) for x in pair.split(',')] for pair in numbers])


def test_paths_are_the_curves_with_width_opacity_and_color():
  root, _ = _paths(_program(pressure=[9, 9, 9, 0]).to_svg())
  assert root.get('viewBox') == '0 0 50 50'
  strokes = list(root.find(f'{_NAME}g'))[1:]
  assert [stroke.get('stroke') for stroke in strokes] == [
      '#ff0000',
      '#000000',
      '#000000',
  ]
  # The third is under less and less pressure, and so is made of pieces.
  assert [stroke.tag for stroke in strokes[:2]] == [f'{_NAME}path'] * 2
  assert all(s.get('stroke-opacity') == '1' for s in strokes[:2])
  pieces = list(strokes[2])
  assert strokes[2].get('opacity') == '1' and len(pieces) > 1
  # Pens add half their logarithm at full pressure, and a little for slowness.
  widths = [float(path.get('stroke-width')) for path in (*strokes[:2], *pieces)]
  assert 2 * np.exp(0.45) < widths[0] < 2 * np.exp(0.7)
  assert 4 * np.exp(0.45) < widths[1] < 4 * np.exp(0.7)
  assert widths[2:] == sorted(widths[2:], reverse=True)
  # Pieces of the curve that the command tells, one after the other.
  points = np.array([_points(path) for path in pieces])
  np.testing.assert_array_equal(points[1:, 0], points[:-1, 2])
  start, control, end = np.array([[30, 20], [40, 10], [40, 20]])
  for place in (*points[:, 0], points[-1, 2]):
    t = np.linspace(0, 1, 10_001)[:, np.newaxis]
    curve = (1 - t) ** 2 * start + 2 * (1 - t) * t * control + t * t * end
    # The first dab may still be on the stroke before.
    assert np.hypot(*(curve - place).T).min() < 1
  paper = root.find(f'{_NAME}g')[0]
  assert paper.get('fill') == '#ffffff' and paper.get('width') == '50'


def test_opacity_and_width_are_of_the_brush():
  texts = [
      _program().to_svg(brush=brush)
      for brush in ('classic/pen', 'classic/modelling')
  ]
  assert 'opacity="1"' in texts[0]
  faint = [float(x) for x in re.findall(r'opacity="(.+?)"', texts[1])]
  assert len(faint) == 3 and all(0.05 < x < 0.95 for x in faint)
  with pytest.raises(ValueError, match='classic/pn'):
    _program().to_svg(brush='classic/pn')


def test_transparent_paper_is_black_as_the_canvas_shows_it():
  settings = painting.PaintingSettings(background='transparent')
  program = painting.Program(
      settings, {name: [0] for name in settings.action_spec()}
  )
  root, paths = _paths(program.to_svg())
  assert next(root.iter(f'{_NAME}rect')).get('fill') == '#000000'
  assert not paths and program.render().max() == 0


def test_center_lines_are_in_millimeters_and_one_path_until_the_pen_lifts():
  black = _program(red=[0, 0, 0, 0])
  text = black.to_svg(center_lines=True, millimeters=200)
  root, paths = _paths(text)
  assert (root.get('width'), root.get('height')) == ('200mm', '200mm')
  assert root.get('viewBox') == '0 0 200 200'
  assert [path.get('d') for path in paths] == [
      'M0,0Q40,0 40,40',
      'M80,40Q80,80 120,80Q160,40 160,80',
  ]
  assert not list(root.iter(f'{_NAME}rect'))
  assert 'opacity' not in text
  assert len({path.get('stroke-width') for path in paths}) == 1
  assert _paths(_program().to_svg(center_lines=True))[0].get('width') == '100mm'


def test_a_plotter_changes_pens_between_paths():
  program = _program(red=[19, 0, 0, 19])
  _, paths = _paths(program.to_svg(center_lines=True))
  assert [path.get('stroke') for path in paths] == [
      '#ff0000',
      '#000000',
      '#ff0000',
  ]


def test_physical_size_of_the_picture():
  root, _ = _paths(_program().to_svg(millimeters=80.5))
  assert (root.get('width'), root.get('viewBox')) == ('80.5mm', '0 0 50 50')


@pytest.mark.parametrize('millimeters', [0, -1, float('nan'), float('inf')])
def test_millimeters_out_of_range(millimeters):
  with pytest.raises(ValueError, match=f'millimeters is {millimeters}'):
    _program().to_svg(center_lines=True, millimeters=millimeters)


def test_every_golden_program_is_well_formed():
  for program, canvases in golden.programs():
    count = int(np.sum(program.commands['flag']))
    text = program.to_svg()
    _, *strokes = _paths(text)[0].find(f'{_NAME}g')
    strokes = [s for s in strokes if s.tag != f'{_NAME}filter']
    # Those that are left out painted nothing.
    seen = [
        bool(flag) and bool((canvases[t] != canvases[t + 1]).any())
        for t, flag in enumerate(program.commands['flag'])
    ]
    assert sum(seen) <= len(strokes) <= count
    lines = _paths(program.to_svg(center_lines=True))[1]
    assert sum(path.get('d').count('Q') for path in lines) == count
    assert not re.search(r'nan|inf|\de-', text)


# Correlation with the painted picture, of pixels.
@pytest.mark.parametrize(
    'brush, least',
    [
        ('classic/pen', 0.97),
        ('classic/kabura', 0.97),
        ('classic/slow_ink', 0.95),
        ('classic/bulk', 0.97),
        ('classic/marker_fat', 0.95),
        ('classic/brush', 0.95),
        # Nibs: a stroke ends in their shape, not in a round.
        ('classic/calligraphy', 0.85),
        # Soft ones.
        ('classic/modelling', 0.9),
        ('classic/ink_blot', 0.85),
        ('deevad/airbrush', 0.95),
        # Dabs that are strewn.
        ('classic/charcoal', 0.75),
        ('classic/dry_brush', 0.75),
    ],
)
def test_a_browser_draws_what_was_painted(page, tmp_path, brush, least):
  rng = np.random.default_rng(0)
  settings = painting.PaintingSettings(
      brush=brush, color=True, brush_sizes=(1, 2, 4)
  )
  commands = {
      name: rng.integers(part.num_values, size=10)
      for name, part in settings.action_spec().items()
  }
  commands['flag'] = (rng.random(10) < 0.7).astype(int)
  program = painting.Program(settings, commands)
  path = tmp_path / 'drawing.svg'
  path.write_text(program.to_svg(millimeters=25.4 * 512 / 96))  # 512 pixels.
  page.open(path)
  seen = page.screenshot()[:512, :512].astype(float)
  painted = program.render(512)

  def alike(canvas):
    return np.corrcoef(seen.ravel(), canvas.ravel())[0, 1]

  assert alike(painted) >= least
  # The same picture upside down is no such match.
  assert alike(painted[::-1]) < 0.7
  assert not page.console


def test_many_strokes_lie_in_layers():
  settings = painting.fine_settings(background='#ffe4c0')
  rng = np.random.default_rng(0)
  commands = {
      name: rng.integers(part.num_values, size=100)
      for name, part in settings.action_spec().items()
  }
  program = painting.Program(
      settings, {**commands, 'flag': [0, 1] * 50}, aspect=2
  )
  root, paths = _paths(program.to_svg())
  assert root.get('viewBox') == '0 0 64 32'
  assert next(root.iter(f'{_NAME}rect')).get('fill') == '#ffe4c0'
  label = '{http://www.inkscape.org/namespaces/inkscape}label'
  names = [group.get(label) for group in root.iter(f'{_NAME}g')]
  assert [name for name in names if name] == [
      'strokes 1 to 25',
      'strokes 26 to 50',
  ]
  assert len(paths) >= 50
  # Center lines are in the same proportions.
  root, _ = _paths(program.to_svg(center_lines=True, millimeters=200))
  assert (root.get('width'), root.get('height')) == ('200mm', '100mm')
