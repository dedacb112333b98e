/** A measured figure. */
export interface Figure {
  readonly name: string
  /** A median where there were several runs. */
  readonly value: number
  readonly unit: 'ms' | 's' | 'pins/s' | 'MB' | '1/s' | 'ratio' | 'count' | 'KiB'
  /** What we aim for. */
  readonly target?: number
  /** Whether a low or a high figure is good. */
  readonly best?: 'low' | 'high'
}
