/** JAX-WS: what wsimport makes of a WSDL calls every operation. usage: Jaxws VERSION SAMPLES-DIR */
class Jaxws {
    public static void main(String[] a) throws Exception {
        for (String name : Fill.SERVICES) {
            String service = Fill.service(name, a[0]);
            Class<?> type;
            try {
                type = Class.forName("roc.wsdl._1." + service + "_Service");
            } catch (ClassNotFoundException e) {
                type = Class.forName("roc.wsdl._1." + service);
            }
            // Without -extension, wsimport leaves out the ports of SOAP 1.2.
            Object port = type.getMethod("get" + service + "Soap11").invoke(type.getConstructor().newInstance());
            org.w3c.dom.Element request = Fill.body(a[1] + "/" + service + ".xml");
            Fill.call(port, request.getLocalName(), request);
        }
    }
}
