import { LabIcon } from '@jupyterlab/ui-components';

import type { Phase } from './status';

function icon(name: string, size: number, shapes: string): LabIcon {
  const box = `width="${size}" height="${size}" viewBox="0 0 ${size} ${size}"`;
  return new LabIcon({
    name: `jupyter-sessions:${name}`,
    svgstr: `<svg xmlns="http://www.w3.org/2000/svg" ${box}>${shapes}</svg>`
  });
}

const PINS =
  'M8 2h2v3H8zm6 0h2v3h-2zM8 19h2v3H8zm6 0h2v3h-2zM2 8h3v2H2zm0 6h3v2H2z' +
  'm17-6h3v2h-3zm0 6h3v2h-3z';

const CHIP =
  'M6 4h12a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2z' +
  'm0 2v12h12V6z';

/** A chip that computes: the panel's own icon. */
export const sessionsIcon = icon(
  'sessions',
  24,
  '<g class="jp-icon3" fill="#616161">' +
    `<path d="${PINS}"/><path fill-rule="evenodd" d="${CHIP}"/>` +
    '<path d="M10 8.5v7l5.5-3.5z"/></g>'
);

// Each phase has its own shape, because some people cannot tell colours apart
const SHAPES: Record<Phase, string> = {
  waiting:
    '<circle cx="8" cy="8" r="6" class="jp-Sessions-line"/>' +
    '<path d="M8 4.5V8l2.5 1.5" class="jp-Sessions-line"/>',
  starting: '<path d="M8 2a6 6 0 1 1-6 6" class="jp-Sessions-line"/>',
  running: '<circle cx="8" cy="8" r="5" class="jp-Sessions-fill"/>',
  degraded: '<path d="M8 2l6.5 12h-13z" class="jp-Sessions-fill"/>',
  suspended: '<path d="M4 3h3v10H4zm5 0h3v10H9z" class="jp-Sessions-fill"/>',
  stopping: '<path d="M8 2a6 6 0 1 1-6 6" class="jp-Sessions-line"/>',
  failed:
    '<circle cx="8" cy="8" r="6" class="jp-Sessions-line"/>' +
    '<path d="M5.8 5.8l4.4 4.4m0-4.4l-4.4 4.4" class="jp-Sessions-line"/>',
  ended: '<circle cx="8" cy="8" r="4.5" class="jp-Sessions-line"/>',
  unknown: '<path d="M3 8h10" class="jp-Sessions-line"/>'
};

/** The icon of each phase. */
export const phaseIcons = Object.fromEntries(
  Object.entries(SHAPES).map(([phase, shape]) => [
    phase,
    icon(phase, 16, shape)
  ])
) as Record<Phase, LabIcon>;
