/**
 * A place in a change where the tests end the process, to see that what is left can be used. In the program that is
 * built for use, it does nothing: the build for those tests puts another function here.
 */
export const failpoint: (name: string) => void = () => {}
