/** Line icons, 24 × 24, decorative: the words beside them carry the meaning. */
import { svg, type SVGTemplateResult, html, type TemplateResult } from "lit";

const icon = (paths: SVGTemplateResult): TemplateResult =>
  html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">${paths}</svg>`;

export const icons = {
  invite: () =>
    icon(svg`<circle cx="10" cy="8" r="4" /><path d="M3 20a7 7 0 0 1 14 0M19 8v6M16 11h6" />`),
  link: () =>
    icon(
      svg`<path d="M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7L12 7M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7L12 17" />`,
    ),
  tabs: () =>
    icon(
      svg`<rect x="3" y="7" width="13" height="13" rx="2" /><path d="M8 7V5a2 2 0 0 1 2-2h9a2 2 0 0 1 2 2v9a2 2 0 0 1-2 2h-3" />`,
    ),
  search: () => icon(svg`<circle cx="11" cy="11" r="6.5" /><path d="M16 16l4.5 4.5" />`),
  settings: () =>
    icon(
      svg`<path d="M4 7h9M19 7h1M4 17h1M11 17h9" /><circle cx="16" cy="7" r="2.5" /><circle cx="8" cy="17" r="2.5" />`,
    ),
  back: () => icon(svg`<path d="M19 12H5M11 6l-6 6 6 6" />`),
  scan: () =>
    icon(
      svg`<path d="M4 8V6a2 2 0 0 1 2-2h2M16 4h2a2 2 0 0 1 2 2v2M20 16v2a2 2 0 0 1-2 2h-2M8 20H6a2 2 0 0 1-2-2v-2M4 12h16" />`,
    ),
  close: () => icon(svg`<path d="M6 6l12 12M18 6L6 18" />`),
  send: () => icon(svg`<path d="M12 19V5M6 11l6-6 6 6" />`),
  down: () => icon(svg`<path d="M12 5v14M6 13l6 6 6-6" />`),
  shield: () => icon(svg`<path d="M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6z" />`),
  verified: () =>
    icon(
      svg`<path d="M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6z" /><path d="M9 12l2.2 2.2L15.5 10" />`,
    ),
  direct: () => icon(svg`<path d="M4 9h15M15 5l4 4-4 4M20 15H5M9 11l-4 4 4 4" />`),
  relayed: () =>
    icon(
      svg`<circle cx="12" cy="6" r="2.5" /><circle cx="5" cy="18" r="2" /><circle cx="19" cy="18" r="2" /><path d="M10.6 8.2L6 16.2M13.4 8.2L18 16.2" />`,
    ),
  devices: () =>
    icon(
      svg`<path d="M12 16H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1h14a1 1 0 0 1 1 1v1M2 19.5h9" /><rect x="15" y="10" width="6" height="10" rx="1.5" />`,
    ),
  clock: () => icon(svg`<circle cx="12" cy="12" r="8.5" /><path d="M12 7.5V12l3 2" />`),
  offline: () =>
    icon(
      svg`<path d="M4 4l16 16M4.5 11.5a11 11 0 0 1 4-2.6M19.5 11.5a11 11 0 0 0-5.5-3M8.3 15.3a5.4 5.4 0 0 1 5-1.3M12 19v.1" />`,
    ),
  warning: () => icon(svg`<path d="M12 4l9 16H3zM12 10v4M12 17v.5" />`),
  tick: () => icon(svg`<path d="M5 13l4.5 4.5L19 8" />`),
  ticks: () => icon(svg`<path d="M2 13l4.5 4.5L15 9M11 16.5l1 1L22 8" />`),
  copy: () =>
    icon(
      svg`<rect x="9" y="9" width="11" height="11" rx="2" /><path d="M5 15V6a2 2 0 0 1 2-2h8" />`,
    ),
  share: () =>
    icon(svg`<path d="M12 15V4M8 7.5L12 4l4 3.5M5 13v5a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2v-5" />`),
  lock: () =>
    icon(
      svg`<rect x="5" y="11" width="14" height="9" rx="2" /><path d="M8 11V8a4 4 0 0 1 8 0v3" />`,
    ),
  person: () => icon(svg`<circle cx="12" cy="8" r="4" /><path d="M5 20a7 7 0 0 1 14 0" />`),
  globe: () =>
    icon(
      svg`<circle cx="12" cy="12" r="8.5" /><path d="M3.5 12h17M12 3.5c5 5 5 12 0 17M12 3.5c-5 5-5 12 0 17" />`,
    ),
  update: () => icon(svg`<path d="M20 12a8 8 0 1 1-2.3-5.7M20 4v4.5h-4.5" />`),
  edit: () => icon(svg`<path d="M4 20l1-4L16 5l3 3L8 19z" />`),
  notes: () => icon(svg`<path d="M6 3h9l4 4v14H6zM9 12h6M9 16h6M9 8h3" />`),
} as const;
