import { dts } from 'rollup-plugin-dts'

/** The types of the receiver, rolled up: the same for those who import it and for those who require it. */
export default {
  input: 'src/receiver/receiver.ts',
  external: /^node:/,
  output: [{ file: 'dist/receiver.d.ts' }, { file: 'dist/receiver.d.cts' }],
  plugins: [dts()],
}
