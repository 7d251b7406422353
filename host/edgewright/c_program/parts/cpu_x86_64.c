/* Whether this CPU has a feature, by the name that /proc/cpuinfo has for it. */
static int cpu_has(const char *feature) {
    char line[8192];
    int found = 0;
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file)
        return 1; /* not known */
    while (!found && fgets(line, sizeof line, file)) {
        if (strncmp(line, "flags", 5))
            continue;
        for (char *word = strtok(line, " \t\n"); word && !found; word = strtok(NULL, " \t\n"))
            found = !strcmp(word, feature);
        break;
    }
    fclose(file);
    return found;
}
