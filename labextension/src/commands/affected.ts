import type { TranslationBundle } from '@jupyterlab/translation';

import { notebooksIn } from '../notebooks';
import { othersAt } from '../collaborators';
import type { ISession } from '../types';
import type { ICommandEnv } from './env';

/** The most notebooks or people that are named; further ones are counted. */
const NAMED = 5;

/** How long a question waits for the list of notebooks. */
const PATIENCE_MS = 2000;

/** `a, b and 3 more` */
export function enumerate(names: string[], trans: TranslationBundle): string {
  const more = names.length - NAMED;
  const named = names.slice(0, more > 1 ? NAMED : names.length).join(', ');
  return more > 1 ? trans.__('%1 and %2 more', named, more) : named;
}

/** Sentences about the notebooks and people that the end of a session affects. */
export async function affected(
  session: ISession,
  env: ICommandEnv
): Promise<string[]> {
  const { api, app, documents, trans } = env;
  const late = new Promise<string[]>(resolve =>
    setTimeout(() => resolve([]), PATIENCE_MS)
  );
  const { contents } = app.serviceManager;
  const asking = notebooksIn(session, app.serviceManager, api);
  const paths = await Promise.race([asking.catch(() => []), late]);
  if (paths.length === 0) {
    return [];
  }
  const others = paths.flatMap(path => {
    const widget = documents?.findWidget(path);
    return othersAt(widget?.context.model.sharedModel);
  });
  const names = paths.map(path => contents.localPath(path));
  const sentences = [
    names.length === 1
      ? trans.__('This notebook runs in it: %1.', names[0])
      : trans.__('These notebooks run in it: %1.', enumerate(names, trans))
  ];
  if (others.length > 0) {
    const people = enumerate([...new Set(others)], trans);
    sentences.push(trans.__('They are also open for %1.', people));
  }
  return sentences;
}
