"""Pictures of a circle, and a score that is learned of them."""

import numpy as np
from PIL import Image
import pytest

from experiments.paper import figure11
from spiral_jax.evaluation import surfaces
from tests import tiny

# Pictures and l2.


def test_pictures_are_one_circle_in_all_places():
  images = figure11.circles(size=12, radius=2)
  assert images.shape == (9, 9, 12, 12) and images.dtype == np.float32
  assert set(np.unique(images)) == {0, 1}
  first = images[0, 0]
  # 2x2 pixels in the middle, and two on each side.
  assert np.sum(first == 0) == 12
  assert (first[0] == 0).any() and (first[:, 0] == 0).any()
  assert not (first[4:] == 0).any() and not (first[:, 4:] == 0).any()
  for i in range(9):
    for j in range(9):
      moved = np.roll(first, (i, j), (0, 1))
      np.testing.assert_array_equal(images[i, j], moved)
  assert (images[8, 8, 11] == 0).any()


def test_a_circle_needs_room():
  with pytest.raises(ValueError, match='--radius=6.*--size at least 13'):
    figure11.circles(size=12, radius=6)


def test_l2_is_flat_where_circles_do_not_overlap():
  images = figure11.circles(size=12, radius=2)
  surface = figure11.l2_surface(images)(0)
  assert surface[0, 0] == 0 and surface.argmax() == 0
  assert surface[0, 1] == pytest.approx(-2 * 4 / 144)  # Four new pixels.
  far = np.maximum(*np.indices((9, 9))) >= 4
  np.testing.assert_allclose(surface[far], -2 * 12 / 144, rtol=1e-6)
  assert (surface[~far] >= -2 * 12 / 144 - 1e-6).all()


# The learned score.


@pytest.mark.slow
def test_what_is_learned_leads_home():
  images = figure11.circles(size=16, radius=2)
  targets = np.arange(0, 169, 7)
  training = figure11.Training(steps=250, batch_size=64)
  shares = {
      steps: surfaces.measure(
          figure11.learned_surface(
              images, 'coordinates', training._replace(steps=steps)
          ),
          targets,
      )
      for steps in (1, 250)
  }
  assert min(shares[250]) > 0.95
  assert shares[1].reaching < 0.3
  l2 = surfaces.measure(figure11.l2_surface(images), targets)
  assert l2.reaching < 0.4


@pytest.mark.parametrize(
    'loss, network',
    [
        ('logistic', 'coordinates'),
        ('wgan', 'coordinates'),
        ('wgan', 'pixels'),
    ],
)
def test_a_target_scores_higher_after_some_steps(loss, network):
  images = figure11.circles(size=8, radius=1)
  training = figure11.Training(
      loss=loss, steps=60, batch_size=32, average=0.5, learning_rate=1e-2
  )

  def lead(steps):
    surface = figure11.learned_surface(
        images, network, training._replace(steps=steps)
    )
    heights = surface(9)
    assert heights.shape == (7, 7)
    return heights.flat[9] - heights.mean()

  assert lead(60) > lead(1) + 0.1


# The program.


def test_the_program_writes_a_picture_and_prints_both_shares(tmp_path):
  code, output, errors = tiny.run_program(
      'paper/figure11.py',
      '--size=9',
      '--radius=1',
      '--steps=2',
      '--batch_size=4',
      '--targets=3',
      f'--out_dir={tmp_path}',
  )
  assert code == 0, errors
  assert 'l2' in output and 'learned score' in output
  assert output.count('%') == 4 and errors == ''
  assert [path.name for path in tmp_path.iterdir()] == ['figure11.png']
  with Image.open(tmp_path / 'figure11.png') as picture:
    assert np.ptp(np.asarray(picture)) == 255


def test_a_circle_without_room_is_one_line(tmp_path):
  code, output, errors = tiny.run_program(
      'paper/figure11.py', '--size=9', '--radius=5', f'--out_dir={tmp_path}'
  )
  assert code != 0 and output == ''
  assert len(errors.splitlines()) == 1 and '--radius=5' in errors
  assert not list(tmp_path.iterdir())
