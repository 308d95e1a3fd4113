import * as React from 'react';

import type { ISession } from '../types';

/** Matches the element of a row. */
export const ROW = '.jp-Sessions-row';

/** The row that the Tab key comes to, and what keeps it so. */
export interface IRoving {
  list: React.RefObject<HTMLUListElement>;
  at: number;
  onFocus: (event: React.FocusEvent<HTMLElement>) => void;
  onBlur: () => void;
}

function keyOf({ backend, id }: ISession): string {
  return `${backend}/${id}`;
}

function rowFor(key: string, rows: HTMLElement[], at: number): HTMLElement {
  const last = rows.length - 1;
  const places: Record<string, number> = {
    ArrowDown: Math.min(at + 1, last),
    ArrowUp: Math.max(at - 1, 0),
    Home: 0,
    End: last
  };
  return rows[places[key]];
}

/** Move the focus from a row to another one, if the key says so. */
export function moveFocus(event: React.KeyboardEvent<HTMLElement>): void {
  const rows = [...event.currentTarget.querySelectorAll<HTMLElement>(ROW)];
  const row = rowFor(
    event.key,
    rows,
    rows.indexOf(event.target as HTMLElement)
  );
  if (row) {
    event.preventDefault();
    row.focus();
  }
}

/** Keeps one row of a list in the tab order, and the focus in the list. */
export function useRoving(page: readonly ISession[]): IRoving {
  const list = React.useRef<HTMLUListElement>(null);
  const [current, setCurrent] = React.useState('');
  const place = React.useRef(0);
  const hasFocus = React.useRef(false);
  const found = page.findIndex(row => keyOf(row) === current);
  const at = found < 0 ? Math.min(place.current, page.length - 1) : found;

  React.useLayoutEffect(() => {
    place.current = at;
    // The focused row has gone: its neighbour takes over
    if (hasFocus.current && document.activeElement === document.body) {
      list.current?.querySelectorAll<HTMLElement>(ROW)[at]?.focus();
    }
  });

  const onFocus = (event: React.FocusEvent<HTMLElement>): void => {
    const row = event.target.closest<HTMLElement>(ROW);
    hasFocus.current = true;
    setCurrent(`${row?.dataset.backend}/${row?.dataset.sessionId}`);
  };
  const onBlur = (): void => {
    hasFocus.current = false;
  };
  return { list, at, onFocus, onBlur };
}
