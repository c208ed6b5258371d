/**
 * The two directions in which a sample of vectors varies most (its first principal components, by power iteration), and
 * the sample drawn on them. All of it happens in the browser; the sidecar only sends the sample.
 */
import { prepared } from "./charts.js";

const ITERATIONS = 40;
const margin = 24;

/**
 * @param {Float32Array} vectors shape (count x dimensions); changed: its mean is taken away
 * @returns {[number, number][]} one point for each vector
 */
export function project(vectors, dimensions) {
  const rows = Array.from({ length: vectors.length / dimensions }, (_, i) =>
    vectors.subarray(i * dimensions, (i + 1) * dimensions),
  );
  centre(rows, dimensions);
  const first = component(rows, dimensions, []);
  const second = component(rows, dimensions, [first]);
  return rows.map((row) => [dot(row, first), dot(row, second)]);
}

function centre(rows, dimensions) {
  const mean = new Float64Array(dimensions);
  for (const row of rows) for (let d = 0; d < dimensions; d++) mean[d] += row[d] / rows.length;
  for (const row of rows) for (let d = 0; d < dimensions; d++) row[d] -= mean[d];
}

/** The direction of the largest variance that is at right angles to `others`. */
function component(rows, dimensions, others) {
  let direction = Float64Array.from({ length: dimensions }, (_, d) => Math.sin(d + 1 + others.length));
  for (let i = 0; i < ITERATIONS; i++) {
    const next = new Float64Array(dimensions);
    for (const row of rows) {
      const weight = dot(row, direction);
      for (let d = 0; d < dimensions; d++) next[d] += weight * row[d];
    }
    for (const other of others) {
      const along = dot(next, other);
      for (let d = 0; d < dimensions; d++) next[d] -= along * other[d];
    }
    const length = Math.sqrt(dot(next, next));
    if (length === 0) return next;
    direction = next.map((value) => value / length);
  }
  return direction;
}

function dot(a, b) {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += a[d] * b[d];
  return sum;
}

/** Draws the points. @returns {(x: number, y: number) => number} the point that is nearest to a place on the canvas */
export function drawMap(canvas, points, labels, chosen) {
  const { context, width, height } = prepared(canvas);
  const style = getComputedStyle(canvas);
  const [toX, toY] = [scale(points, 0, width), scale(points, 1, height)];
  const places = points.map((point) => [toX(point[0]), toY(point[1])]);
  context.fillStyle = style.getPropertyValue("--first");
  context.globalAlpha = 0.7;
  for (const [x, y] of places) {
    context.beginPath();
    context.arc(x, y, 3, 0, 2 * Math.PI);
    context.fill();
  }
  context.globalAlpha = 1;
  context.fillStyle = style.getPropertyValue("--text");
  context.font = "12px system-ui, sans-serif";
  for (const i of [...spread(places), ...(chosen >= 0 ? [chosen] : [])])
    label(context, labels[i], places[i], width);
  return (x, y) => nearest(places, x, y);
}

function scale(points, axis, size) {
  const values = points.map((point) => point[axis]);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const range = high - low || 1;
  return (value) => margin + ((value - low) / range) * (size - 2 * margin);
}

/** Some places that are far enough apart to have their labels read. */
function spread(places) {
  const chosen = [];
  for (const [i, [x, y]] of places.entries()) {
    const isFree = chosen.every((j) => Math.abs(places[j][0] - x) > 90 || Math.abs(places[j][1] - y) > 18);
    if (isFree) chosen.push(i);
    if (chosen.length === 40) break;
  }
  return chosen;
}

function label(context, text, [x, y], width) {
  const short = text.length > 24 ? `${text.slice(0, 23)}…` : text;
  const isRight = x + context.measureText(short).width + 8 > width;
  context.textAlign = isRight ? "right" : "left";
  context.fillText(short, x + (isRight ? -6 : 6), y + 4);
}

function nearest(places, x, y) {
  const squares = places.map(([px, py]) => (px - x) ** 2 + (py - y) ** 2);
  return squares.indexOf(Math.min(...squares));
}
