import { Button } from '@jupyterlab/ui-components';
import * as React from 'react';

import { canTerminate } from '../status';
import { CommandIDs } from '../tokens';
import type { ISession } from '../types';
import type { IPanelEnv } from './env';
import { SessionRow } from './row';

/** Rows rendered at first, and added by each "Show more". */
const PAGE = 100;

const ROW = '.jp-Sessions-row';

interface IRowsProps {
  env: IPanelEnv;
  label: string;
  sessions: readonly ISession[];
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

function moveFocus(event: React.KeyboardEvent<HTMLElement>): void {
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

function keyOf({ backend, id }: ISession): string {
  return `${backend}/${id}`;
}

/** A page of rows; arrow keys move between them, Delete terminates. */
export function SessionRows(props: IRowsProps): JSX.Element {
  const { env, label, sessions } = props;
  const [shown, setShown] = React.useState(PAGE);
  const [current, setCurrent] = React.useState('');
  const page = sessions.slice(0, shown);
  const at = Math.max(
    page.findIndex(row => keyOf(row) === current),
    0
  );

  const onKeyDown = (event: React.KeyboardEvent<HTMLElement>): void => {
    if (!(event.target as HTMLElement).matches(ROW)) {
      return;
    }
    if (event.key === 'Delete' && page[at] && canTerminate(page[at])) {
      const { backend, id } = page[at];
      void env.commands.execute(CommandIDs.terminate, { backend, id });
    } else {
      moveFocus(event);
    }
  };

  const onFocus = (event: React.FocusEvent<HTMLElement>): void => {
    const { backend, sessionId } =
      event.target.closest<HTMLElement>(ROW)?.dataset ?? {};
    setCurrent(`${backend}/${sessionId}`);
  };

  return (
    <>
      <ul
        className="jp-Sessions-rows"
        aria-label={label}
        onKeyDown={onKeyDown}
        onFocus={onFocus}
      >
        {page.map((session, index) => (
          <SessionRow
            key={keyOf(session)}
            env={env}
            session={session}
            isCurrent={index === at}
          />
        ))}
      </ul>
      {sessions.length > shown && (
        <ShowMore
          env={env}
          left={sessions.length - shown}
          onClick={() => setShown(shown + PAGE)}
        />
      )}
    </>
  );
}

function ShowMore(props: {
  env: IPanelEnv;
  left: number;
  onClick: () => void;
}): JSX.Element {
  const { env, left, onClick } = props;
  return (
    <Button minimal={true} className="jp-Sessions-more" onClick={onClick}>
      {env.trans.__(
        'Show %1 more of %2',
        Math.min(PAGE, left),
        left.toLocaleString()
      )}
    </Button>
  );
}
