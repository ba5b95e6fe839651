/** One scenario. */
interface Scenario {
    void run() throws Exception;
}
