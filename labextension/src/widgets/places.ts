/** A position in a list of rows for keyboard navigation. */
export interface IPlace {
  row: number;

  /** The index of a button or link in the row; -1 for the row itself. */
  control: number;
}

/**
 * The position after a key, as in a grid: Up and Down move between rows, Right and Left between
 * a row and its controls. `controls` has the number of controls of each row. Null for other keys.
 */
export function placeAfter(
  key: string,
  { row, control }: IPlace,
  controls: readonly number[]
): IPlace | null {
  const lastRow = controls.length - 1;
  const lastControl = controls[row] - 1;
  const isInRow = control >= 0;
  const toRow = (to: number): IPlace => ({
    row: Math.max(0, Math.min(to, lastRow)),
    control
  });
  const toControl = (to: number): IPlace => ({
    row,
    control: Math.max(-1, Math.min(to, lastControl))
  });
  const moves: Record<string, () => IPlace> = {
    ArrowDown: () => toRow(row + 1),
    ArrowUp: () => toRow(row - 1),
    ArrowRight: () => toControl(control + 1),
    ArrowLeft: () => toControl(control - 1),
    Home: () => (isInRow ? toControl(0) : toRow(0)),
    End: () => (isInRow ? toControl(lastControl) : toRow(lastRow))
  };
  const moved = Object.keys(moves).includes(key) ? moves[key]() : null;
  return (
    moved && {
      row: moved.row,
      control: Math.min(moved.control, controls[moved.row] - 1)
    }
  );
}
