/** What every element looks like by default: focus ring, buttons, fields, text only for assistive technology. */
import { css } from "lit";

export const base = css`
  :host {
    box-sizing: border-box;
    font: var(--s-size-m) / var(--s-line-height) var(--s-font);
    color: var(--s-text);
    text-autospace: normal;
  }
  *,
  *::before,
  *::after {
    /* Not inherited: what stands in <details> would inherit it from a box that is the browser's own. */
    box-sizing: border-box;
  }
  :focus-visible {
    outline: 2px solid var(--s-accent);
    outline-offset: 2px;
  }
  button,
  input,
  textarea,
  select {
    font: inherit;
    color: inherit;
  }
  button {
    border: 0;
    background: none;
    padding: 0;
    cursor: pointer;
  }
  button:disabled {
    cursor: default;
    opacity: 0.5;
  }
  .hidden {
    position: absolute;
    inline-size: 1px;
    block-size: 1px;
    margin: -1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
`;

export const controls = css`
  .button {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: var(--s-space-2);
    min-block-size: 44px;
    padding-inline: var(--s-space-4);
    border-radius: var(--s-radius-m);
    border: 1px solid var(--s-edge);
    background: var(--s-bg);
    font-weight: 500;
    text-decoration: none;
    color: var(--s-text);
    transition: background var(--s-motion-fast);
  }
  .button:hover:not(:disabled) {
    background: var(--s-surface-hover);
  }
  .button.primary {
    border-color: transparent;
    background: var(--s-accent);
    color: var(--s-on-accent);
  }
  .button.primary:hover:not(:disabled) {
    background: var(--s-accent-hover);
  }
  .button.quiet {
    border-color: transparent;
    background: none;
    color: var(--s-accent);
  }
  .button.quiet:hover:not(:disabled) {
    background: var(--s-surface-hover);
  }
  .icon-button {
    display: inline-grid;
    place-items: center;
    inline-size: 44px;
    block-size: 44px;
    border-radius: 50%;
    color: var(--s-text-quiet);
    flex: none;
  }
  .icon-button:hover {
    background: var(--s-surface-hover);
    color: var(--s-text);
  }
  .field {
    inline-size: 100%;
    min-block-size: 44px;
    padding: var(--s-space-2) var(--s-space-3);
    border: 1px solid var(--s-edge);
    border-radius: var(--s-radius-m);
    background: var(--s-bg);
  }
  label.caption,
  .caption {
    display: block;
    margin-block-end: var(--s-space-1);
    font-size: var(--s-size-s);
    color: var(--s-text-quiet);
  }
  .error {
    color: var(--s-danger);
  }
  .quiet-text {
    color: var(--s-text-quiet);
  }
  svg.icon {
    inline-size: 20px;
    block-size: 20px;
    fill: none;
    stroke: currentColor;
    stroke-width: 2;
    stroke-linecap: round;
    stroke-linejoin: round;
    flex: none;
  }
`;
