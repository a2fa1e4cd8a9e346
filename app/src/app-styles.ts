/** The layout of the whole screen: one pane on a phone, two from 720 px. */
import { css } from "lit";

export const layout = css`
  :host {
    display: flex;
    flex-direction: column;
    block-size: 100%;
    overflow: hidden;
  }
  .skip {
    position: absolute;
    inset-block-start: -60px;
    inset-inline-start: var(--s-space-4);
    z-index: 2;
    padding: var(--s-space-2) var(--s-space-4);
    border-radius: var(--s-radius-s);
    background: var(--s-accent);
    color: var(--s-on-accent);
  }
  .skip:focus {
    inset-block-start: var(--s-space-2);
  }
  .problem {
    display: flex;
    align-items: center;
    gap: var(--s-space-3);
    margin: 0;
    padding: var(--s-space-2) var(--s-space-4);
    background: var(--s-warn-surface);
    font-size: var(--s-size-s);
  }
  sotto-sheet .problem {
    margin-block-end: var(--s-space-4);
    border-radius: var(--s-radius-m);
  }
  .problem svg.icon {
    color: var(--s-warn);
  }
  .panes {
    flex: 1;
    min-block-size: 0;
    display: grid;
  }
  .panes.wide {
    grid-template-columns: minmax(280px, 340px) minmax(0, 1fr);
  }
  .panes.narrow {
    grid-template-columns: minmax(0, 1fr);
  }
  nav {
    min-block-size: 0;
    display: flex;
    flex-direction: column;
    background: var(--s-surface);
  }
  .wide nav {
    border-inline-end: 1px solid var(--s-line);
  }
  nav header {
    display: flex;
    align-items: center;
    justify-content: space-between;
    gap: var(--s-space-4);
    min-block-size: 64px;
    padding-inline: calc(var(--s-space-4) + var(--s-space-1)) var(--s-space-3);
  }
  nav header sotto-avatar {
    --avatar-size: 36px;
  }
  nav header sotto-name-field {
    flex: 1;
  }
  nav .scroll {
    flex: 1;
    display: flex;
    flex-direction: column;
    min-block-size: 0;
    overflow-y: auto;
    overscroll-behavior: contain;
  }
  nav footer {
    padding: var(--s-space-3) var(--s-space-4) max(var(--s-space-4), env(safe-area-inset-bottom));
  }
  nav footer:empty {
    padding: 0;
  }
  /* The free middle between the notes and the buttons. */
  .welcome {
    flex: 1;
    display: grid;
    align-content: safe center;
    justify-items: center;
    padding: var(--s-space-4) var(--s-space-6);
    text-align: center;
  }
  .welcome h2 {
    margin: 0;
    font-size: var(--s-size-xl);
    font-weight: 600;
    line-height: 1.25;
    text-wrap: balance;
  }
  .welcome .lead {
    margin-block-end: 0;
    max-inline-size: 340px;
    font-size: var(--s-size-m);
  }
  .welcome ul {
    margin-block-start: var(--s-space-6);
  }
  .opening {
    margin-block-end: var(--s-space-4);
  }
  .actions {
    display: grid;
    grid-template-columns: 1fr 1fr;
    gap: var(--s-space-2);
  }
  .actions .button {
    padding-inline: var(--s-space-2);
    font-size: var(--s-size-s);
  }
  .actions.large {
    grid-template-columns: minmax(0, 1fr);
    inline-size: min(320px, 100%);
    margin-inline: auto;
  }
  .actions.large .button {
    min-block-size: 48px;
    font-size: var(--s-size-m);
  }
  main {
    min-block-size: 0;
    min-inline-size: 0;
    background: var(--s-bg);
  }
  main.conversation {
    display: grid;
    grid-template-rows: auto minmax(0, 1fr) auto;
  }
  main.alone {
    position: relative;
    display: grid;
    grid-template-columns: minmax(0, 1fr);
  }
  main.center {
    display: flex;
    flex-direction: column;
    align-items: center;
    justify-content: safe center;
    overflow-y: auto;
    padding: var(--s-space-6);
    text-align: center;
  }
  main h1 {
    margin: 0;
    font-size: var(--s-size-xxl);
    font-weight: 600;
    line-height: 1.25;
    text-wrap: balance;
  }
  .home img {
    margin-block-end: var(--s-space-6);
  }
  /* A translation may say where a line ends: not every script shows where its words do. */
  .lead {
    white-space: pre-line;
    margin: var(--s-space-3) 0 var(--s-space-8);
    max-inline-size: 420px;
    font-size: var(--s-size-l);
    color: var(--s-text-quiet);
    text-wrap: balance;
  }
  .home ul {
    list-style: none;
    margin: var(--s-space-8) 0 0;
    padding: 0;
    display: grid;
    gap: var(--s-space-2);
    color: var(--s-text-quiet);
    font-size: var(--s-size-s);
    text-align: start;
  }
  .home li {
    display: flex;
    align-items: center;
    gap: var(--s-space-2);
  }
  .home li svg.icon {
    inline-size: 16px;
    block-size: 16px;
    color: var(--s-ok);
  }
  .card {
    inline-size: min(440px, 100%);
    display: grid;
    gap: var(--s-space-3);
    text-align: start;
  }
  .card h1 {
    font-size: var(--s-size-xl);
  }
  .card p {
    margin: 0;
  }
  .card summary {
    padding-block: var(--s-space-3);
    cursor: pointer;
  }
  .card .problem {
    padding-block: var(--s-space-3);
    border-radius: var(--s-radius-m);
  }
  .card .button {
    margin-block-start: var(--s-space-2);
  }
  .card .button + .button {
    margin-block-start: 0;
  }
  .refused {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    justify-content: center;
    gap: var(--s-space-3) var(--s-space-4);
    padding: var(--s-space-4);
    background: var(--s-warn-surface);
  }
  .refused p {
    margin: 0;
  }
`;
