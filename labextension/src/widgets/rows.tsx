import * as React from 'react';

import { canAttach, canTerminate } from '../status';
import { keyOf } from '../store';
import { CommandIDs } from '../tokens';
import type { ISession } from '../types';
import type { IPanelEnv } from './env';
import { RovingList } from './roving';
import { SessionRow } from './row';
import { ListButton } from './rowparts';

/** The number of rows at first, and for each "Show more". */
const PAGE = 100;

interface IRowsProps {
  env: IPanelEnv;
  label: string;
  sessions: readonly ISession[];
}

function hasNotebook(session: ISession, { model }: IPanelEnv): boolean {
  return canAttach(session, model.backend(session.backend));
}

/** A page of rows. Arrow keys move between them, Delete terminates. */
export function SessionRows(props: IRowsProps): JSX.Element {
  const { env, label, sessions } = props;
  const [shown, setShown] = React.useState(PAGE);
  const page = new Map(sessions.slice(0, shown).map(row => [keyOf(row), row]));

  const onRowKey = (key: string, pressed: string): void => {
    const session = page.get(key);
    if (pressed === 'Delete' && session && canTerminate(session)) {
      const { backend, id } = session;
      void env.commands.execute(CommandIDs.terminate, { backend, id });
    }
  };

  return (
    <>
      <RovingList label={label} keys={[...page.keys()]} onRowKey={onRowKey}>
        {(key, isCurrent) => (
          <SessionRow
            key={key}
            env={env}
            session={page.get(key)!}
            isCurrent={isCurrent}
            hasNotebook={hasNotebook(page.get(key)!, env)}
          />
        )}
      </RovingList>
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
