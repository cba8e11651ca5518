// The file that the build puts beside the pages.
export { default } from "uplot";
