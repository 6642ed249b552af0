/** Axis 1.4: the stubs that WSDL2Java makes of a WSDL call every operation. usage: Axis VERSION SAMPLES-DIR */
class Axis {
    public static void main(String[] a) throws Exception {
        for (String name : Fill.SERVICES) {
            String service = Fill.service(name, a[0]);
            Class<?> type = Class.forName("_1.wsdl.roc." + service + "_ServiceLocator");
            Object stub = type.getMethod("get" + service + "Soap11").invoke(type.getConstructor().newInstance());
            org.w3c.dom.Element request = Fill.body(a[1] + "/" + service + ".xml");
            Fill.call(stub, request.getLocalName(), request);
        }
    }
}
