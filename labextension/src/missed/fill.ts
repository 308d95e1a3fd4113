import type { ICodeCellModel } from '@jupyterlab/cells';
import type * as nbformat from '@jupyterlab/nbformat';
import { JSONExt, type ReadonlyJSONValue } from '@lumino/coreutils';

import type { IExecution } from '../types';
import { outputsOf } from './match';

/** The part of a cell's outputs that is written here. */
export interface IOutputsModel {
  toJSON(): nbformat.IOutput[];
  add(output: nbformat.IOutput): number;
  fromJSON(outputs: nbformat.IOutput[]): void;
}

/** The part of a cell that is written here. */
export type ICell = Pick<
  ICodeCellModel,
  'trusted' | 'executionCount' | 'executionState'
> & { readonly outputs: IOutputsModel };

/** Types of data that render the same whether or not a cell is trusted. */
const PLAIN = ['text/plain', 'image/png', 'image/jpeg', 'image/gif'];

/** Show the current state of an execution in a cell. */
export function fill(cell: ICell, execution: IExecution): void {
  // The output was not produced on this page, so it must not be trusted
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

/** Show outputs without rendering existing ones again. */
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

/** The outputs to add to turn one list into the other; null if that is impossible. */
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
