import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { placeAfter } from '../src/widgets/places';

/** Three rows with four controls, none and two. */
const CONTROLS = [4, 0, 2];

function go(keys: string, row = 0, control = -1): [number, number] {
  const end = keys
    .split(' ')
    .reduce((at, key) => placeAfter(key, at, CONTROLS) ?? at, { row, control });
  return [end.row, end.control];
}

describe('the keyboard in a list of rows', () => {
  it('goes up and down between rows and stays in the list', () => {
    assert.deepEqual(go('ArrowDown'), [1, -1]);
    assert.deepEqual(go('ArrowDown ArrowDown ArrowDown'), [2, -1]);
    assert.deepEqual(go('ArrowUp'), [0, -1]);
    assert.deepEqual(go('End'), [2, -1]);
    assert.deepEqual(go('End Home'), [0, -1]);
  });

  it('goes right and left to what is in a row', () => {
    assert.deepEqual(go('ArrowRight'), [0, 0]);
    assert.deepEqual(go('ArrowRight ArrowRight ArrowLeft'), [0, 0]);
    assert.deepEqual(go('ArrowRight ArrowLeft ArrowLeft'), [0, -1]);
    assert.deepEqual(go('ArrowRight End'), [0, 3]);
    assert.deepEqual(go('ArrowRight End ArrowRight'), [0, 3]);
    assert.deepEqual(go('ArrowRight End Home'), [0, 0]);
  });

  it('stays at a row without buttons', () => {
    assert.deepEqual(go('ArrowRight', 1), [1, -1]);
  });

  it('keeps the column between rows as far as there is one', () => {
    assert.deepEqual(go('ArrowUp', 2, 1), [1, -1]);
    assert.deepEqual(go('ArrowDown', 0, 3), [1, -1]);
    assert.deepEqual(placeAfter('ArrowDown', { row: 0, control: 3 }, [4, 2]), {
      row: 1,
      control: 1
    });
  });

  it('leaves other keys alone', () => {
    for (const key of ['Tab', 'Enter', 'a', 'toString']) {
      assert.equal(placeAfter(key, { row: 0, control: -1 }, CONTROLS), null);
    }
  });
});
