// Runs before the first paint, so that a page of the chosen theme never flashes in the other.
{
  const theme = localStorage.getItem("kino.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
