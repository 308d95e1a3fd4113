import * as React from 'react';

import { type IPlace, placeAfter } from './places';
import { RowList } from './rowparts';

/** Matches the element of a row. */
const ROW = '[data-row-key]';

const CONTROLS = 'button, a';

function rowsOf(list: HTMLElement): HTMLElement[] {
  return [...list.querySelectorAll<HTMLElement>(ROW)];
}

function controlsOf(row: HTMLElement): HTMLElement[] {
  return [...row.querySelectorAll<HTMLElement>(CONTROLS)];
}

function placeOf(element: HTMLElement, rows: HTMLElement[]): IPlace {
  const row = rows.findIndex(each => each.contains(element));
  return { row, control: controlsOf(rows[row]).indexOf(element) };
}

/** Move the focus with an arrow key. */
function moveFocus(event: React.KeyboardEvent<HTMLElement>): void {
  const { altKey, ctrlKey, metaKey, shiftKey } = event;
  if (altKey || ctrlKey || metaKey || shiftKey) {
    return;
  }
  const rows = rowsOf(event.currentTarget);
  const counts = rows.map(row => controlsOf(row).length);
  const place = placeOf(event.target as HTMLElement, rows);
  const next = placeAfter(event.key, place, counts);
  if (next) {
    const row = rows[next.row];
    event.preventDefault();
    (controlsOf(row)[next.control] ?? row).focus();
  }
}

interface IRoving {
  list: React.RefObject<HTMLUListElement>;
  current: string | undefined;
  onFocus: (event: React.FocusEvent<HTMLElement>) => void;
  onBlur: () => void;
}

/** Keep one row of a list in the tab order, and the focus in the list. */
function useRoving(keys: readonly string[]): IRoving {
  const list = React.useRef<HTMLUListElement>(null);
  const [chosen, setChosen] = React.useState('');
  const place = React.useRef(0);
  const hasFocus = React.useRef(false);
  const found = keys.indexOf(chosen);
  const at = found < 0 ? Math.min(place.current, keys.length - 1) : found;

  React.useLayoutEffect(() => {
    place.current = at;
    // The focused element is gone: its row or a neighbour gets the focus
    if (hasFocus.current && document.activeElement === document.body) {
      rowsOf(list.current!)[at]?.focus();
    }
  });

  const onFocus = (event: React.FocusEvent<HTMLElement>): void => {
    const row = event.target.closest<HTMLElement>(ROW);
    hasFocus.current = true;
    setChosen(row?.dataset.rowKey ?? '');
  };
  const onBlur = (): void => {
    hasFocus.current = false;
  };
  return { list, current: keys[at], onFocus, onBlur };
}

interface IRovingListProps {
  label: string;

  /** Renders a row, given its key and whether the Tab key reaches it. */
  keys: readonly string[];
  children: (key: string, isCurrent: boolean) => React.ReactNode;

  /** Called for a key that is pressed on a row itself. */
  onRowKey?: (key: string, pressed: string) => void;
}

/** Rows with a single tab stop; arrow keys reach the other rows and their controls. */
export function RovingList(props: IRovingListProps): JSX.Element {
  const { label, keys, children, onRowKey } = props;
  const { list, current, onFocus, onBlur } = useRoving(keys);
  const onKeyDown = (event: React.KeyboardEvent<HTMLElement>): void => {
    const { rowKey } = (event.target as HTMLElement).dataset;
    if (rowKey !== undefined) {
      onRowKey?.(rowKey, event.key);
    }
    moveFocus(event);
  };
  return (
    <RowList
      ref={list}
      role="grid"
      aria-label={label}
      onKeyDown={onKeyDown}
      onFocus={onFocus}
      onBlur={onBlur}
    >
      {keys.map(key => children(key, key === current))}
    </RowList>
  );
}
