import * as React from 'react';

import { canAttach, canTerminate } from '../status';
import { CommandIDs } from '../tokens';
import type { ISession } from '../types';
import type { IPanelEnv } from './env';
import { moveFocus, ROW, useRoving } from './roving';
import { SessionRow } from './row';
import { ListButton, RowList } from './rowparts';

/** Rows rendered at first, and added by each "Show more". */
const PAGE = 100;

interface IRowsProps {
  env: IPanelEnv;
  label: string;
  sessions: readonly ISession[];
}

function hasNotebook(session: ISession, { model }: IPanelEnv): boolean {
  return canAttach(session, model.backend(session.backend));
}

/** A page of rows; arrow keys move between them, Delete terminates. */
export function SessionRows(props: IRowsProps): JSX.Element {
  const { env, label, sessions } = props;
  const [shown, setShown] = React.useState(PAGE);
  const page = sessions.slice(0, shown);
  const { list, at, onFocus, onBlur } = useRoving(page);

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

  return (
    <>
      <RowList
        ref={list}
        aria-label={label}
        onKeyDown={onKeyDown}
        onFocus={onFocus}
        onBlur={onBlur}
      >
        {page.map((session, index) => (
          <SessionRow
            key={`${session.backend}/${session.id}`}
            env={env}
            session={session}
            isCurrent={index === at}
            hasNotebook={hasNotebook(session, env)}
          />
        ))}
      </RowList>
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
    <ListButton
      label={env.trans.__(
        'Show %1 more of %2',
        Math.min(PAGE, left),
        left.toLocaleString()
      )}
      onClick={onClick}
    />
  );
}
