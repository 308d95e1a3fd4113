/**
 * Types of the panel that are derived from the server's types.
 */

import type { IBatch, ISession } from './types';

/** The reference to a session of any backend. */
export type ISessionRef = Pick<ISession, 'backend' | 'id'>;

/** Amounts by slot, such as `cpu`, `mem` and `cuda.device`, as text. */
export type Resources = ISession['resources'];

/** One change of the server's journal. */
export type Change = IBatch['changes'][number];
