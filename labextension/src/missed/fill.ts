import type { ICodeCellModel } from '@jupyterlab/cells';
import type * as nbformat from '@jupyterlab/nbformat';
import { JSONExt, type ReadonlyJSONValue } from '@lumino/coreutils';

import type { IExecution } from '../types';
import { outputsOf } from './match';

/** The outputs of a cell, as far as they are filled here. */
export interface IOutputsModel {
  toJSON(): nbformat.IOutput[];
  add(output: nbformat.IOutput): number;
  fromJSON(outputs: nbformat.IOutput[]): void;
}

/** What of a cell is filled. */
export type ICell = Pick<
  ICodeCellModel,
  'trusted' | 'executionCount' | 'executionState'
> & { readonly outputs: IOutputsModel };

/** Types of data that render the same in a trusted cell and in another. */
const PLAIN = ['text/plain', 'image/png', 'image/jpeg', 'image/gif'];

/** Make a cell show an execution, as it is now. */
export function fill(cell: ICell, execution: IExecution): void {
  // Nobody has looked at it here: it must not inherit the trust in the cell
  if (cell.trusted && !outputsOf(execution).every(isPlain)) {
    cell.trusted = false;
  }
  fillOutputs(cell.outputs, outputsOf(execution));
  const isRunning = execution.status === 'running';
  cell.executionCount = isRunning ? null : execution.execution_count;
  cell.executionState = isRunning ? 'running' : 'idle';
}

function isPlain({ data }: nbformat.IOutput): boolean {
  return Object.keys(data ?? {}).every(type => PLAIN.includes(type));
}

/** Show these outputs, without drawing again those that are there. */
export function fillOutputs(
  model: IOutputsModel,
  outputs: nbformat.IOutput[]
): void {
  const more = remaining(model.toJSON(), outputs);
  if (more) {
    more.forEach(output => model.add(output));
  } else {
    model.fromJSON(outputs);
  }
}

/** What has to be added to get from one to the other; null if it cannot. */
function remaining(
  from: nbformat.IOutput[],
  to: nbformat.IOutput[]
): nbformat.IOutput[] | null {
  const last = from.length - 1;
  if (to.length < from.length || !from.slice(0, last).every(isSame(to))) {
    return null;
  }
  if (last < 0 || isSame(to)(from[last], last)) {
    return to.slice(from.length);
  }
  const [before, after] = [from[last], to[last]];
  if (before.name && before.name === after.name) {
    const [old, now] = [`${before.text}`, `${after.text}`];
    if (now.startsWith(old)) {
      const added = { ...after, text: now.slice(old.length) };
      return [added, ...to.slice(from.length)];
    }
  }
  return null;
}

function isSame(
  to: nbformat.IOutput[]
): (output: nbformat.IOutput, place: number) => boolean {
  return (output, place) =>
    JSONExt.deepEqual(
      output as ReadonlyJSONValue,
      to[place] as ReadonlyJSONValue
    );
}
