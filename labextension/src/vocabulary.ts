/**
 * Words of the panel that are made of the server's types.
 */

import type { IBatch, ISession } from './types';

/** What names a session over all backends. */
export type ISessionRef = Pick<ISession, 'backend' | 'id'>;

/** Amounts by slot: `cpu`, `mem`, `cuda.device` and the like, all text. */
export type Resources = ISession['resources'];

/** One step of the change journal. */
export type Change = IBatch['changes'][number];
