"""Figures: alt text, CSS colours, contrast, and the drawing helpers."""

import re
import xml.etree.ElementTree as ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest

from gansde_lib import Players, games, plot

ALT = "A straight line from (0, 0) to (1, 1), drawn to test the house style."


def publish():
    fig, axes = plot.figure()
    axes.plot([0, 1], [0, 1], color=plot.THETA)
    axes.plot([0, 1], [1, 0], **plot.DASHED)
    return plot.show(fig, alt=ALT, caption="Rates <1> & more.")


def test_a_figure_is_html_with_alt_text_and_caption():
    markup = publish().to_html()
    root = ElementTree.fromstring(re.sub(r"<style.*?</style>", "", markup, flags=re.DOTALL))
    assert root.tag == "figure" and root[0].get("aria-label") == ALT and root[0].get("role") == "img"
    assert root[-1].text == "Rates <1> & more."
    svg = root[0][0]
    assert svg.get("aria-hidden") == "true" and svg.get("viewBox") and svg.get("width") is None


def test_colours_are_css_variables():
    svg = publish().svg
    assert f"var(--gansde-theta, {plot.THETA})" in svg and f"var(--gansde-ink, {plot.INK})" in svg
    assert not re.search(rf"(?<!, ){plot.INK}", svg)  # no bare palette colour is left


def test_the_same_figure_is_published_identically():
    assert publish() == publish()


def test_a_published_figure_is_closed():
    before = plt.get_fignums()
    publish()
    assert plt.get_fignums() == before


def test_short_alt_text_is_refused():
    fig, _ = plot.figure()
    with pytest.raises(ValueError, match="at least 30 characters, found 'a plot'"):
        plot.show(fig, alt="a plot")
    plt.close(fig)


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


@pytest.mark.parametrize("name", ["INK", "THETA", "OMEGA", "GREEN", "PURPLE", "GOLD", "SKY"])
def test_light_colours_have_contrast_three(name):
    """WCAG asks for 3:1 between graphics and their background; the light page is white."""
    assert 1.05 / (luminance(getattr(plot, name)) + 0.05) >= 3


def test_vector_field_draws_the_directions_of_the_game():
    fig, axes = plot.figure()
    plot.vector_field(axes, games.bilinear(1.0), theta=(-1, 1), omega=(-1, 1), count=3)
    arrows = axes.collections[0]
    theta, omega = np.meshgrid([-1, 0, 1], [-1, 0, 1])
    length = np.where(np.hypot(theta, omega) > 0, np.hypot(theta, omega), 1)
    np.testing.assert_allclose(arrows.U, (-omega / length).ravel(), atol=1e-6)
    np.testing.assert_allclose(arrows.V, (theta / length).ravel(), atol=1e-6)
    plt.close(fig)


def test_path_and_unit_circle():
    fig, axes = plot.figure(columns=2)
    plot.path(axes[0], Players(np.array([1.0, 2.0]), np.array([3.0, 4.0])), color=plot.OMEGA)
    np.testing.assert_array_equal(axes[0].lines[0].get_xydata(), [[1, 3], [2, 4]])
    np.testing.assert_array_equal(axes[0].lines[1].get_xydata(), [[1, 3]])
    plot.unit_circle(axes[1])
    np.testing.assert_allclose(np.linalg.norm(axes[1].lines[0].get_xydata(), axis=1), 1)
    plt.close(fig)


def test_a_figure_styles_and_names_nothing_outside_itself():
    svg = publish().svg
    assert "<style" not in svg and 'stroke-linejoin="round"' in svg
    named = set(re.findall(r'id="([^"]+)"', svg))
    assert named == set(re.findall(r'(?:href="|url\()#([^")]+)', svg)), "only what is referred to has a name"
