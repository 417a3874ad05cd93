"""The page that plays a program, driven in a real browser."""

from html import parser
import json
import re

import numpy as np
import pytest

from environments import painting
from environments.painting import library
from tests.environments.painting import golden

_READY = "document.body.dataset.ready === 'true'"


@pytest.fixture(name='program')
def _program():
  program, _ = next(golden.programs('classic/dry_brush'))
  return program


@pytest.fixture(name='open_player')
def _open_player(page, tmp_path):
  """A function that opens a program's page and waits until it can play."""

  def open_player(program, **kwargs):
    path = tmp_path / 'drawing.html'
    path.write_text(program.to_html(**kwargs), encoding='utf-8')
    page.open(path, until=_READY)
    return page

  return open_player


def _scrub(page, step):
  """Moves the slider as a hand does: its value, then the event."""
  page.evaluate(
      "(() => {const e = document.getElementById('scrub');"
      f" e.value = {step}; e.dispatchEvent(new Event('input'))}})()"
  )


def _assert_shows(page, frame):
  pixels = page.pixels('#canvas')
  assert (pixels[..., 3] == 255).all()
  # The page rounds numbers of dabs to 16 bits, the picture each dab to 15.
  away = np.abs(pixels[..., :3].astype(int) - frame)
  assert away.mean() < 0.05 and away.max() <= 16


def _step(page):
  return page.evaluate("Number(document.getElementById('scrub').value)")


@pytest.mark.parametrize('size', [None, 200])
@pytest.mark.parametrize('brush', ['classic/dry_brush', 'classic/charcoal'])
def test_every_step_shows_the_canvas(open_player, brush, size):
  # Of the last of a brush's sets, which are gray for charcoal.
  *_, (program, canvases) = golden.programs(brush)
  page = open_player(program, size=size)
  frames = canvases if size is None else program.frames(size)
  _assert_shows(page, frames[-1])
  changes = [t for t in range(20) if (frames[t] != frames[t + 1]).any()]
  assert len(changes) > 5
  for step in [7, 0, changes[2], changes[2] + 1, 20]:
    _scrub(page, step)
    _assert_shows(page, frames[step])


def test_plays_from_the_start_pauses_and_stops_at_the_end(open_player, program):
  page = open_player(program)
  page.evaluate("document.getElementById('speed').value = '16'")
  assert page.evaluate("document.getElementById('play').textContent") == 'Play'
  page.click('#play')
  page.wait("document.getElementById('play').textContent === 'Pause'")
  page.wait('0 < scrub.value && scrub.value < 20')
  page.click('#play')
  stopped = _step(page)
  assert page.evaluate("document.getElementById('play').textContent") == 'Play'
  _assert_shows(page, program.frames()[stopped])
  page.evaluate('new Promise(done => setTimeout(done, 300))')
  assert _step(page) == stopped
  page.click('#play')
  page.wait("scrub.value === '20'")
  page.wait("document.getElementById('play').textContent === 'Play'")
  _assert_shows(page, program.render())


def test_buttons_and_keys_step(open_player, program):
  page = open_player(program)
  page.click('#first')
  assert _step(page) == 0
  assert page.evaluate("document.getElementById('back').disabled")
  page.click('#forward')
  page.click('#forward')
  assert _step(page) == 2
  page.click('#back')
  assert _step(page) == 1
  page.click('#last')
  assert _step(page) == 20
  page.evaluate('document.activeElement.blur()')
  for key, step in (('ArrowLeft', 19), ('Home', 0), ('ArrowRight', 1)):
    page.press(key)
    assert _step(page) == step
  _assert_shows(page, program.frames()[1])


def test_commands_are_listed_and_the_current_one_is_marked(
    open_player, program
):
  page = open_player(program)
  texts = page.evaluate(
      "[...document.querySelectorAll('#commands button')].map(b => b.innerText)"
  )
  assert len(texts) == 20
  for text, curve in zip(texts, program.curves()):
    assert ('paint' if curve.is_paint else 'move') in text
    assert f'({curve.end[0]:g}, {curve.end[1]:g})' in text
  marked = (
      "[...document.querySelectorAll('#commands button')].map((b, i) =>"
      " b.getAttribute('aria-current') ? i + 1 : 0).filter(i => i)"
  )
  for step in (7, 12):
    _scrub(page, step)
    assert page.evaluate(marked) == [step]
  page.click('#commands li:nth-child(3) button')
  assert _step(page) == 3 and page.evaluate(marked) == [3]
  _assert_shows(page, program.frames()[3])
  _scrub(page, 0)
  assert page.evaluate(marked) == []
  assert page.evaluate("document.getElementById('step').value") == '0 of 20'


def test_the_curve_is_shown_when_asked_for(open_player, program):
  page = open_player(program)
  step = 1 + [curve.is_paint for curve in program.curves()].index(True)
  _scrub(page, step)
  path = "document.getElementById('curve').getAttribute('d')"
  assert page.evaluate(path) == ''
  page.click('#show_curve')
  assert 'Q' in page.evaluate(path)
  lines = program.to_svg(
      center_lines=True, millimeters=program.settings.canvas_size
  )
  assert page.evaluate(path) in lines


def test_nothing_is_loaded_from_elsewhere(open_player, program):
  page = open_player(program, title='</script><script>alert("x")</script> & é')
  (request,) = page.requests
  assert request.endswith('drawing.html')
  assert page.evaluate('document.title').startswith('</script><script>alert')
  assert not page.console


def test_every_control_has_a_name(program):
  text = program.to_html()

  class Controls(parser.HTMLParser):
    found: list = []

    def handle_starttag(self, tag, attributes):
      if tag in ('button', 'input', 'select', 'canvas'):
        self.found.append(dict(attributes))

  Controls().feed(text)
  assert len(Controls.found) == 9
  for attributes in Controls.found:
    named = 'aria-label' in attributes
    name = attributes['id']
    labeled = f'for="{name}"' in text or name in ('play', 'show_curve')
    assert named or labeled, name


def test_data_cannot_end_the_element_that_holds_it(program):
  text = program.to_html(title='</script>')
  data = re.search(r'application/json">(.*?)</script>', text, re.DOTALL)[1]
  assert '<' not in data
  commands = json.loads(data)['commands']
  assert len(commands) == 20
  assert any('dabs' in command for command in commands)


def test_programs_of_one_command_play(open_player):
  settings = painting.PaintingSettings(canvas_size=16)
  program = painting.Program(
      settings, {name: [1] for name in settings.action_spec()}
  )
  page = open_player(program)
  page.click('#play')
  page.wait("document.getElementById('play').textContent === 'Play'")
  _assert_shows(page, program.render())


@pytest.mark.parametrize(
    'brush, mean, most',
    [
        ('classic/pen', 0.05, 6),
        ('classic/calligraphy', 0.1, 40),
        ('classic/brush', 0.1, 40),
        ('classic/kabura', 0.1, 40),
        ('classic/ink_blot', 0.05, 6),
        ('classic/marker_fat', 0.3, 40),
    ],
)
def test_dabs_between_knots_are_near(open_player, brush, mean, most):
  *_, (program, _) = golden.programs('classic/pen')
  page = open_player(program, size=192, brush=brush)
  picture = program.render(192, brush)
  away = np.abs(page.pixels('#canvas')[..., :3].astype(int) - picture)
  assert away.mean() < mean and away.max() <= most
  assert picture.min() < 200  # Something was painted.


def test_an_eraser_is_shown_by_pictures(open_player, tmp_path):
  brush = json.loads(library.read_brush('classic/pen'))
  brush['settings']['eraser'] = {'base_value': 1.0, 'inputs': {}}
  (tmp_path / 'eraser.myb').write_text(json.dumps(brush))
  settings = painting.PaintingSettings(
      brush='eraser', brushes_path=str(tmp_path), brush_sizes=(9,)
  )
  program = painting.Program(
      settings,
      {'flag': [1], 'end': [700], 'control': [500], 'pressure': [9]},
  )
  page = open_player(program)
  assert program.render().min() == 0
  np.testing.assert_array_equal(
      page.pixels('#canvas')[..., :1], program.render()
  )


def test_a_wide_picture_on_colored_paper(open_player):
  settings = painting.PaintingSettings(
      color=True, background='#ffe4c0', brush_sizes=(4,)
  )
  rng = np.random.default_rng(0)
  commands = {
      name: rng.integers(part.num_values, size=5)
      for name, part in settings.action_spec().items()
  }
  program = painting.Program(settings, {**commands, 'flag': [1] * 5}, aspect=2)
  page = open_player(program, size=100)
  assert page.pixels('#canvas').shape == (50, 100, 4)
  _assert_shows(page, program.render(100))


def test_a_hundred_strokes_take_little(open_player):
  settings = painting.fine_settings()
  rng = np.random.default_rng(0)
  commands = {
      name: rng.integers(part.num_values, size=200)
      for name, part in settings.action_spec().items()
  }
  program = painting.Program(settings, {**commands, 'flag': [0, 1] * 100})
  assert len(program.to_html(512)) < 300_000
